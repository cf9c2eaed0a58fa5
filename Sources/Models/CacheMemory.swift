import Tensors

/// The keys, or the values, of one layer in a paged cache. In e4m3 every token's head has a scale of its own, so that its
/// largest value is the largest that the type has.
package struct CacheMemory {
    /// `[blocks, kvHeads, blockTokens, headDim]`; e4m3 as bytes.
    let elements: Tensor
    /// float32 `[blocks, kvHeads, blockTokens]`, of e4m3.
    let scales: Tensor?

    /// The largest finite e4m3 value.
    private static let largest = 448.0

    /// Bytes of one token's head.
    package static func byteCount(headDim: Int, as type: ElementType) -> Int {
        headDim * type.byteCount + (type == .float8e4m3 ? 4 : 0)
    }

    /// - Parameter noise: seed of what is in it at first; nothing if `nil`.
    init(shape: [Int], as type: ElementType, on device: Device, noise: UInt64?) throws {
        func values(_ type: ElementType) throws -> Tensor {
            guard let noise else { return try Tensor.zeros(shape, type, on: device) }
            return try Tensor.noise(shape, seed: noise, type, on: device)
        }
        guard type == .float8e4m3 else {
            (elements, scales) = (try values(type), nil)
            return
        }
        let quantized = try Self.quantized(values(.float32))
        elements = quantized.elements
        scales = quantized.scales
    }

    /// - Parameter x: `[…, headDim]`.
    /// - Returns: bytes of e4m3, and scales `[…]`.
    private static func quantized(_ x: Tensor) throws -> (elements: Tensor, scales: Tensor) {
        let x = try x.converted(to: .float32)
        let scales = try (x.magnitude().max(-1, keeping: true) * (1 / largest))
            .clamped(Double(Float.leastNormalMagnitude)...Double(Float.greatestFiniteMagnitude))
        let elements = try (x / scales).converted(to: .float8e4m3).viewed(as: .uint8)
        return (elements, try scales.squeezed(-1))
    }

    /// - Parameters:
    ///   - source: `[…, headDim]`, one row for each of `rows`.
    ///   - rows: int64, places among all heads' tokens.
    func write(_ source: Tensor, at rows: Tensor) throws {
        let width = elements.shape[3]
        let source = try source.reshaped([-1, width])
        guard let scales else {
            try elements.reshaped([-1, width]).assign(
                source.converted(to: elements.elementType), at: rows, along: 0)
            return
        }
        let quantized = try Self.quantized(source)
        try elements.reshaped([-1, width]).assign(quantized.elements, at: rows, along: 0)
        try scales.reshaped([-1]).assign(quantized.scales, at: rows, along: 0)
    }

    /// The first `tokens` tokens of a sequence with `blocks`, `[1, kvHeads, tokens, headDim]`.
    func read(_ blocks: Tensor, tokens: Int) throws -> Tensor {
        let shape = elements.shape
        let found = try elements.selecting(blocks, along: 0).transposed(0, 1)
            .reshaped([1, shape[1], -1, shape[3]]).narrowed(2, 0..<tokens)
        guard let scales else { return found }
        let factors = try scales.selecting(blocks, along: 0).transposed(0, 1)
            .reshaped([1, shape[1], -1, 1]).narrowed(2, 0..<tokens)
        return try found.contiguous().viewed(as: .float8e4m3).converted(to: .float32) * factors
    }
}
