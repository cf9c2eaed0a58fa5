import CTorch

extension Tensor {
    // MARK: Type and device

    package func converted(to type: ElementType) throws(TensorError) -> Tensor {
        type == elementType ? self : try to(type, device, copy: false)
    }

    package func moved(to device: Device) throws(TensorError) -> Tensor {
        device == self.device ? self : try to(elementType, device, copy: false)
    }

    package func to(
        _ type: ElementType, _ device: Device, copy: Bool = false
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("to", [self]) {
            ct_to($0[0], type.raw, device.kind, device.index, copy, $1)
        }
    }

    /// The same bytes as elements of another type of their size.
    package func viewed(as type: ElementType) throws(TensorError) -> Tensor {
        precondition(type.byteCount == elementType.byteCount, "\(type) has another size")
        return try TorchCall.make("viewed(as: \(type))", [self]) {
            ct_view_as($0[0], type.raw, $1)
        }
    }

    /// The same elements of a CPU tensor on `device`, copied behind the work that is queued there while
    /// the host goes on.
    package func uploaded(to device: Device) throws(TensorError) -> Tensor {
        try TorchCall.make("uploaded", [self]) { ct_upload($0[0], device.kind, device.index, $1) }
    }

    /// Itself if contiguous, else a contiguous copy.
    package func contiguous() throws(TensorError) -> Tensor {
        try TorchCall.make("contiguous", [self]) { ct_contiguous($0[0], $1) }
    }

    /// A copy with memory of its own.
    package func copied() throws(TensorError) -> Tensor {
        try TorchCall.make("copied", [self]) { ct_clone($0[0], $1) }
    }

    // MARK: Shape

    /// The same elements under another shape; one extent may be −1, which libtorch works out.
    package func reshaped(_ shape: [Int]) throws(TensorError) -> Tensor {
        try TorchCall.make("reshaped(\(shape))", [self]) { handles, out in
            shape.withDims { ct_reshape(handles[0], $0, $1, out) }
        }
    }

    package func permuted(_ order: [Int]) throws(TensorError) -> Tensor {
        try TorchCall.make("permuted(\(order))", [self]) { handles, out in
            order.withDims { ct_permute(handles[0], $0, $1, out) }
        }
    }

    /// Exchanges two dimensions; negative ones count from the end.
    package func transposed(_ first: Int = -2, _ second: Int = -1) throws(TensorError) -> Tensor {
        var order = Array(0..<shape.count)
        let (a, b) = ((first + order.count) % order.count, (second + order.count) % order.count)
        order.swapAt(a, b)
        return try permuted(order)
    }

    /// Repeats dimensions of extent 1 without copying.
    package func expanded(_ shape: [Int]) throws(TensorError) -> Tensor {
        try TorchCall.make("expanded(\(shape))", [self]) { handles, out in
            shape.withDims { ct_expand(handles[0], $0, $1, out) }
        }
    }

    /// Elements `range` along `dimension`, as a view.
    package func narrowed(_ dimension: Int, _ range: Range<Int>) throws(TensorError) -> Tensor {
        try TorchCall.make("narrowed(\(dimension), \(range))", [self]) {
            ct_narrow($0[0], Int64(dimension), Int64(range.lowerBound), Int64(range.count), $1)
        }
    }

    /// The slice at `index` along `dimension`, which vanishes.
    package func selected(_ dimension: Int, _ index: Int) throws(TensorError) -> Tensor {
        try TorchCall.make("selected(\(dimension), \(index))", [self]) {
            ct_select($0[0], Int64(dimension), Int64(index), $1)
        }
    }

    package func squeezed(_ dimension: Int) throws(TensorError) -> Tensor {
        try TorchCall.make("squeezed", [self]) { ct_squeeze($0[0], Int64(dimension), $1) }
    }

    package func unsqueezed(_ dimension: Int) throws(TensorError) -> Tensor {
        try TorchCall.make("unsqueezed", [self]) { ct_unsqueeze($0[0], Int64(dimension), $1) }
    }

    package func flipped(_ dimension: Int) throws(TensorError) -> Tensor {
        try TorchCall.make("flipped", [self]) { ct_flip($0[0], Int64(dimension), $1) }
    }

    /// The diagonal of the last two dimensions, as a view.
    package func diagonal() throws(TensorError) -> Tensor {
        try TorchCall.make("diagonal", [self]) { ct_diagonal($0[0], $1) }
    }

    /// A square matrix with this vector on its diagonal.
    package func diagonalMatrix() throws(TensorError) -> Tensor {
        try TorchCall.make("diagonalMatrix", [self]) { ct_diag_embed($0[0], $1) }
    }

    /// Zero below `diagonal` of the last two dimensions.
    package func upperTriangle(_ diagonal: Int = 0) throws(TensorError) -> Tensor {
        try TorchCall.make("upperTriangle", [self]) {
            ct_triangle($0[0], true, Int64(diagonal), $1)
        }
    }

    /// Zero above `diagonal` of the last two dimensions.
    package func lowerTriangle(_ diagonal: Int = 0) throws(TensorError) -> Tensor {
        try TorchCall.make("lowerTriangle", [self]) {
            ct_triangle($0[0], false, Int64(diagonal), $1)
        }
    }

    // MARK: Joining and picking

    package static func concatenated(
        _ tensors: [Tensor], along dimension: Int
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("concatenated", tensors) { handles, out in
            handles.withUnsafeBufferPointer {
                ct_cat($0.baseAddress, Int32($0.count), Int64(dimension), out)
            }
        }
    }

    package static func stacked(
        _ tensors: [Tensor], along dimension: Int
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("stacked", tensors) { handles, out in
            handles.withUnsafeBufferPointer {
                ct_stack($0.baseAddress, Int32($0.count), Int64(dimension), out)
            }
        }
    }

    /// Slices of `dimension` at `indices`, int32 or int64, in that order.
    package func selecting(
        _ indices: Tensor, along dimension: Int
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("selecting", [self, indices]) {
            ct_index_select($0[0], Int64(dimension), $0[1], $1)
        }
    }

    /// One element per position of `indices`, int64, along `dimension`.
    package func gathered(
        _ indices: Tensor, along dimension: Int
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("gathered", [self, indices]) {
            ct_gather($0[0], Int64(dimension), $0[1], $1)
        }
    }

    /// Each slice of `dimension` `count` times in a row.
    package func repeatingEach(
        _ count: Int, along dimension: Int
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("repeatingEach", [self]) {
            ct_repeat_interleave($0[0], Int64(count), Int64(dimension), $1)
        }
    }

    /// Appends zeros to the last dimensions.
    /// - Parameter amounts: zeros to append, for the last dimension first.
    package func padded(_ amounts: [Int]) throws(TensorError) -> Tensor {
        let pairs = amounts.flatMap { [0, $0] }
        return try TorchCall.make("padded(\(amounts))", [self]) { handles, out in
            pairs.withDims { ct_pad(handles[0], $0, $1, 0, out) }
        }
    }
}
