import Artifacts
import Tensors

/// Keys and values of many sequences, in blocks that each takes as it grows (PagedAttention, Kwon et al. 2023,
/// arXiv 2309.06180). Who owns which block is not its business.
package final class PagedCache {
    package let blocks: Int
    package let blockTokens: Int
    /// Of each layer.
    private let keys: [CacheMemory]
    private let values: [CacheMemory]
    private let heads: Int

    /// Memory of a cache, keys and values of all layers.
    package static func byteCount(
        _ configuration: ModelConfiguration, blocks: Int, blockTokens: Int, as type: ElementType
    ) -> Int {
        2 * configuration.layerCount * blocks * configuration.keyValueHeadCount * blockTokens
            * CacheMemory.byteCount(headDim: configuration.headDim, as: type)
    }

    /// - Parameter noise: seed of what is in it at first, for measurements; nothing if `nil`.
    package init(
        _ configuration: ModelConfiguration, blocks: Int, blockTokens: Int, as type: ElementType,
        on device: Device, noise: UInt64? = nil
    ) throws {
        (self.blocks, self.blockTokens) = (blocks, blockTokens)
        let shape = [blocks, configuration.keyValueHeadCount, blockTokens, configuration.headDim]
        heads = configuration.keyValueHeadCount
        func memory(_ index: Int) throws -> CacheMemory {
            try CacheMemory(
                shape: shape, as: type, on: device, noise: noise.map { $0 &+ UInt64(index) })
        }
        keys = try (0..<configuration.layerCount).map { try memory(2 * $0) }
        values = try (0..<configuration.layerCount).map { try memory(2 * $0 + 1) }
    }

    /// Everything that a block has a row of: `[blocks, …]` each.
    var tensors: [Tensor] {
        (keys + values).flatMap { [$0.elements] + ($0.scales.map { [$0] } ?? []) }
    }

    /// Writes what tokens are remembered by.
    /// - Parameters:
    ///   - keys: `[…, kvHeads, headDim]` of some tokens; `values` alike.
    ///   - rows: int64, of every token and head its place among all heads' tokens of the layer: see `row`.
    package func write(layer: Int, keys: Tensor, values: Tensor, rows: Tensor) throws {
        try self.keys[layer].write(keys, at: rows)
        try self.values[layer].write(values, at: rows)
    }

    /// Where head `head` of the token at `position` is kept by a sequence with `blocks`.
    package func row(_ position: Int, head: Int, in blocks: [Int]) -> Int {
        (blocks[position / blockTokens] * heads + head) * blockTokens
            + position % blockTokens
    }

    /// The first `tokens` tokens of a sequence, each `[1, kvHeads, tokens, headDim]`.
    /// - Parameter blocks: int64, of the sequence.
    package func read(
        layer: Int, blocks: Tensor, tokens: Int
    ) throws -> (keys: Tensor, values: Tensor) {
        (
            try keys[layer].read(blocks, tokens: tokens),
            try values[layer].read(blocks, tokens: tokens)
        )
    }

    /// A layer's memory, `[blocks, kvHeads, blockTokens, headDim]` each, for kernels that read and extend it.
    /// In e4m3 bytes, with float32 scales `[blocks, kvHeads, blockTokens]`.
    package func memory(ofLayer layer: Int) -> Memory {
        Memory(
            keys: keys[layer].elements, values: values[layer].elements,
            keyScales: keys[layer].scales, valueScales: values[layer].scales)
    }

    package struct Memory {
        package let keys: Tensor
        package let values: Tensor
        package let keyScales: Tensor?
        package let valueScales: Tensor?
    }

    /// Lends a layer's memory, `[blocks, kvHeads, blockTokens, headDim]` each.
    /// - Precondition: float32 on the CPU.
    package func withFloats(
        ofLayer layer: Int,
        _ body: (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) throws -> Void
    ) throws {
        precondition(keys[layer].elements.elementType == .float32, "the cache holds float32")
        // Both stay where they are as long as the cache is there.
        func address(_ tensor: Tensor) throws -> UnsafeMutablePointer<Float> {
            var found: UnsafeMutablePointer<Float>?
            try tensor.withMutableBytes {
                found = $0.baseAddress?.assumingMemoryBound(to: Float.self)
            }
            guard let found else { preconditionFailure("a cache has memory") }
            return found
        }
        try withExtendedLifetime(self) {
            try body(address(keys[layer].elements), address(values[layer].elements))
        }
    }
}
