import Artifacts
import Tensors

/// Keys and values of many sequences, in blocks that each takes as it grows (PagedAttention, Kwon et al. 2023,
/// arXiv 2309.06180). Who owns which block is not its business.
package final class PagedCache {
    package let blocks: Int
    package let blockTokens: Int
    /// Per layer `[blocks, kvHeads, blockTokens, headDim]`.
    private let keys: [Tensor]
    private let values: [Tensor]

    /// Memory of a cache, keys and values of all layers.
    package static func byteCount(
        _ configuration: ModelConfiguration, blocks: Int, blockTokens: Int, as type: ElementType
    ) -> Int {
        2 * configuration.layerCount * blocks * configuration.keyValueHeadCount * blockTokens
            * configuration.headDim * type.byteCount
    }

    /// - Parameter noise: seed of what is in it at first, for measurements; nothing if `nil`.
    package init(
        _ configuration: ModelConfiguration, blocks: Int, blockTokens: Int, as type: ElementType,
        on device: Device, noise: UInt64? = nil
    ) throws {
        (self.blocks, self.blockTokens) = (blocks, blockTokens)
        let shape = [blocks, configuration.keyValueHeadCount, blockTokens, configuration.headDim]
        func memory(_ index: Int) throws -> Tensor {
            guard let noise else { return try Tensor.zeros(shape, type, on: device) }
            return try Tensor.noise(shape, seed: noise &+ UInt64(index), type, on: device)
        }
        keys = try (0..<configuration.layerCount).map { try memory(2 * $0) }
        values = try (0..<configuration.layerCount).map { try memory(2 * $0 + 1) }
    }

    /// Writes what tokens are remembered by.
    /// - Parameters:
    ///   - keys: `[…, kvHeads, headDim]` of some tokens; `values` alike.
    ///   - rows: int64, of every token and head its place among all heads' tokens of the layer: see `row`.
    func write(layer: Int, keys: Tensor, values: Tensor, rows: Tensor) throws {
        let width = self.keys[layer].shape[3]
        for (memory, source) in [(self.keys[layer], keys), (self.values[layer], values)] {
            try memory.reshaped([-1, width]).assign(
                source.reshaped([-1, width]).converted(to: memory.elementType), at: rows, along: 0)
        }
    }

    /// Where head `head` of the token at `position` is kept by a sequence with `blocks`.
    func row(_ position: Int, head: Int, in blocks: [Int]) -> Int {
        let heads = keys.first?.shape[1] ?? 0
        return (blocks[position / blockTokens] * heads + head) * blockTokens
            + position % blockTokens
    }

    /// The first `tokens` tokens of a sequence, each `[1, kvHeads, tokens, headDim]`.
    /// - Parameter blocks: int64, of the sequence.
    func read(
        layer: Int, blocks: Tensor, tokens: Int
    ) throws -> (keys: Tensor, values: Tensor) {
        func gathered(_ memory: Tensor) throws -> Tensor {
            let shape = memory.shape
            return try memory.selecting(blocks, along: 0).transposed(0, 1)
                .reshaped([1, shape[1], -1, shape[3]]).narrowed(2, 0..<tokens)
        }
        return (try gathered(keys[layer]), try gathered(values[layer]))
    }

    /// A layer's memory, `[blocks, kvHeads, blockTokens, headDim]` each, for kernels that read and extend it.
    package func memory(ofLayer layer: Int) -> (keys: Tensor, values: Tensor) {
        (keys[layer], values[layer])
    }

    /// Lends a layer's memory, `[blocks, kvHeads, blockTokens, headDim]` each.
    /// - Precondition: float32 on the CPU.
    package func withFloats(
        ofLayer layer: Int,
        _ body: (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) throws -> Void
    ) throws {
        precondition(keys[layer].elementType == .float32, "the cache holds float32")
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
            try body(address(keys[layer]), address(values[layer]))
        }
    }
}
