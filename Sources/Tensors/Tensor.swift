import CTorch

/// An n-dimensional array of libtorch, with value-like operations that return new tensors or views.
///
/// Not `Sendable` on purpose: one task owns the device; tokens and artifacts cross between tasks,
/// tensors do not.
package struct Tensor {
    let handle: TensorHandle

    /// Extent of every dimension.
    package var shape: [Int] {
        withExtendedLifetime(handle) {
            var rank: Int32 = 0
            TorchCall.query("rank") { ct_rank(handle.raw, &rank) }
            var dims = [Int64](repeating: 0, count: Int(rank))
            TorchCall.query("shape") { ct_dims(handle.raw, &dims) }
            return dims.map(Int.init)
        }
    }

    /// Number of elements.
    package var count: Int { shape.reduce(1, *) }

    package var elementType: ElementType {
        withExtendedLifetime(handle) {
            var type = CT_F32
            TorchCall.query("elementType") { ct_type(handle.raw, &type) }
            return ElementType(raw: type)
        }
    }

    package var device: Device {
        withExtendedLifetime(handle) {
            var kind = CT_CPU
            var index: Int32 = 0
            TorchCall.query("device") { ct_device(handle.raw, &kind, &index) }
            return Device(kind: kind, index: index)
        }
    }

    /// Whether the elements lie in row-major order without gaps.
    package var isContiguous: Bool {
        withExtendedLifetime(handle) {
            var contiguous = false
            TorchCall.query("isContiguous") { ct_is_contiguous(handle.raw, &contiguous) }
            return contiguous
        }
    }

    /// Bytes of the elements, were they stored contiguously.
    package var byteCount: Int { count * elementType.byteCount }
}
