import Tensors

/// What a tensor is, without its elements: as a file declares it.
package struct TensorInfo: Hashable, Sendable {
    package let name: String
    package let elementType: ElementType
    package let shape: [Int]
    /// Bytes of the elements.
    package let byteCount: Int

    /// - Returns: `nil` where the shape is negative or takes more bytes than `Int` counts.
    package init?(name: String, elementType: ElementType, shape: [Int]) {
        guard let byteCount = Self.byteCount(of: shape, elementType) else { return nil }
        self.name = name
        self.elementType = elementType
        self.shape = shape
        self.byteCount = byteCount
    }

    /// The declaration of `tensor` under a name.
    package init(name: String, of tensor: Tensor) {
        self.name = name
        elementType = tensor.elementType
        shape = tensor.shape
        byteCount = tensor.byteCount
    }

    private static func byteCount(of shape: [Int], _ type: ElementType) -> Int? {
        var bytes = type.byteCount
        for extent in shape {
            let (product, overflow) = bytes.multipliedReportingOverflow(by: extent)
            guard extent >= 0, !overflow else { return nil }
            bytes = product
        }
        return bytes
    }
}
