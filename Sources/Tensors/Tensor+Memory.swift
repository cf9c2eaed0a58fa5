import CTorch

/// Keeps memory alive that a tensor views without copying.
private final class MemoryOwner {
    let owner: AnyObject
    init(_ owner: AnyObject) { self.owner = owner }
}

extension Tensor {
    /// Copies `elements` into a new tensor on the CPU.
    /// - Parameter shape: its product is `elements.count`; `nil` means one dimension.
    package init<Element: TensorElement>(
        _ elements: [Element], shape: [Int]? = nil, on device: Device = .cpu
    ) throws(TensorError) {
        let shape = shape ?? [elements.count]
        precondition(
            shape.reduce(1, *) == elements.count,
            "\(elements.count) elements do not fill shape \(shape)")
        let tensor = try Tensor.uninitialized(shape, Element.elementType)
        if !elements.isEmpty {
            try tensor.withMutableBytes { bytes in
                elements.withUnsafeBytes { bytes.copyMemory(from: $0) }
            }
        }
        self = try tensor.moved(to: device)
    }

    /// Views `memory` without copying; `owner` stays alive as long as any tensor views it.
    /// - Parameters:
    ///   - memory: row-major elements, at least as many bytes as the shape takes; not written to
    ///     unless the tensor is written to.
    ///   - owner: what unmaps or frees the memory when it is released.
    package init(
        viewing memory: UnsafeRawPointer, shape: [Int], _ type: ElementType, owner: AnyObject
    ) throws(TensorError) {
        let context = Unmanaged.passRetained(MemoryOwner(owner))
        do {
            self = try TorchCall.make("viewing", []) { _, out in
                shape.withDims { dims, rank in
                    ct_from_memory(
                        UnsafeMutableRawPointer(mutating: memory), dims, rank, type.raw,
                        { context in
                            guard let context else { return }
                            Unmanaged<MemoryOwner>.fromOpaque(context).release()
                        }, context.toOpaque(), out)
                }
            }
        } catch {
            // libtorch takes `release` over only when the tensor was made.
            context.release()
            throw error
        }
    }

    /// Lends the elements' bytes, in row-major order, without copying where the tensor is contiguous
    /// and on the CPU.
    package func withBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        let tensor = try moved(to: .cpu).contiguous()
        return try withExtendedLifetime(tensor.handle) {
            try body(UnsafeRawBufferPointer(start: tensor.address, count: tensor.byteCount))
        }
    }

    /// Lends the elements' bytes for writing.
    /// - Precondition: on the CPU and contiguous.
    package func withMutableBytes(
        _ body: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(TensorError) {
        precondition(
            device == .cpu && isContiguous, "only a contiguous CPU tensor lends its memory")
        withExtendedLifetime(handle) {
            body(UnsafeMutableRawBufferPointer(start: address, count: byteCount))
        }
    }

    /// The elements, in row-major order, converted to `Element`.
    package func elements<Element: TensorElement>(
        as type: Element.Type = Element.self
    ) throws -> [Element] {
        try converted(to: Element.elementType).withBytes { Array($0.bindMemory(to: Element.self)) }
    }

    /// The only element of a tensor that has one.
    package func scalar() throws(TensorError) -> Double {
        var value = 0.0
        try TorchCall.run("scalar", [self]) { ct_item($0[0], &value) }
        return value
    }

    /// Where a GPU has the elements, in row-major order; good as long as the tensor lives.
    /// - Precondition: on a GPU and contiguous.
    package var deviceAddress: UInt64 {
        precondition(
            device != .cpu && isContiguous, "only a contiguous GPU tensor has an address there")
        return withExtendedLifetime(handle) { UInt64(UInt(bitPattern: address)) }
    }

    private var address: UnsafeMutableRawPointer? {
        var data: UnsafeMutableRawPointer?
        TorchCall.query("address") { ct_data(handle.raw, &data) }
        return data
    }
}
