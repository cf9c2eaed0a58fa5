// One block of a decoder-only Transformer: RMSNorm → attention → residual, RMSNorm → SwiGLU → residual.
// Qwen3 adds an RMSNorm per head on queries and keys; Qwen2 biases; Mistral and some Qwen layers a
// sliding window. The configuration says which, so that one text serves all of them.
import Artifacts
import Tensors

package struct DecoderBlock {
    package let index: Int
    private let configuration: ModelConfiguration
    private var projections: [Projection: Linear]
    package let attentionNorm: Tensor
    package let feedForwardNorm: Tensor
    package let queryNorm: Tensor?
    package let keyNorm: Tensor?

    /// Reads block `index` of the loader's checkpoint.
    package init(
        _ index: Int, of configuration: ModelConfiguration, from loader: WeightLoader
    ) throws {
        self.index = index
        self.configuration = configuration
        let prefix = Self.prefix(index)
        var projections: [Projection: Linear] = [:]
        for projection in Projection.allCases {
            projections[projection] = try loader.linear(
                configuration.module(projection, ofLayer: index))
        }
        self.projections = projections
        attentionNorm = try loader.tensor(prefix + "input_layernorm.weight")
        feedForwardNorm = try loader.tensor(prefix + "post_attention_layernorm.weight")
        queryNorm =
            configuration.hasQueryKeyNorm
            ? try loader.tensor(prefix + "self_attn.q_norm.weight") : nil
        keyNorm =
            configuration.hasQueryKeyNorm
            ? try loader.tensor(prefix + "self_attn.k_norm.weight") : nil
    }

    /// What the names of block `index`'s tensors begin with.
    package static func prefix(_ index: Int) -> String { "model.layers.\(index)." }

    package subscript(projection: Projection) -> Linear {
        get {
            guard let linear = projections[projection] else {
                preconditionFailure("a block holds every projection")
            }
            return linear
        }
        set { projections[projection] = newValue }
    }

    /// - Parameters:
    ///   - x: `[batch, tokens, hidden]`, positions following those in `cache`.
    ///   - observer: sees what every linear layer reads and computes, in order.
    /// - Returns: `[batch, tokens, hidden]`.
    package func forward(
        _ x: Tensor, rotary: RotaryTables, cache: inout KVCache?,
        observer: (any LinearObserver)? = nil
    ) throws -> Tensor {
        let normalized = try attentionInput(x)
        try observer?.willRead(normalized, .attention)
        let attended = try attend(normalized, rotary: rotary, cache: &cache, observer: observer)
        return try finish(x, attended, observer: observer)
    }

    /// The same for pieces of several sequences, whose keys and values are in a paged cache.
    /// - Parameter x: `[1, tokens, hidden]`, in the order of the batch.
    package func forward(_ x: Tensor, _ batch: PagedBatch) throws -> Tensor {
        let (queries, keys, values) = try heads(of: attentionInput(x), batch.angles, observer: nil)
        let attended = try batch.attend(
            layer: index, queries, keys, values, window: configuration.slidingWindows[index])
        return try finish(x, attended, observer: nil)
    }

    /// What follows attention.
    private func finish(
        _ x: Tensor, _ attended: Tensor, observer: (any LinearObserver)?
    ) throws -> Tensor {
        try observer?.willRead(attended, .attended)
        let written = try self[.output](attended)
        try observer?.didCompute(written, .output)
        let hidden = try x + written

        let second = try feedForwardInput(hidden)
        try observer?.willRead(second, .feedForward)
        let gated = try gate(second, observer: observer)
        try observer?.willRead(gated, .gated)
        let last = try self[.down](gated)
        try observer?.didCompute(last, .down)
        return try hidden + last
    }

    // MARK: The steps between which a block can be looked at

    /// What query, key and value read, of the block's input `[batch, tokens, hidden]`.
    package func attentionInput(_ x: Tensor) throws -> Tensor {
        try x.rmsNorm(attentionNorm, epsilon: configuration.normEpsilon)
    }

    /// What gate and up read, of the hidden state after attention `[batch, tokens, hidden]`.
    package func feedForwardInput(_ hidden: Tensor) throws -> Tensor {
        try hidden.rmsNorm(feedForwardNorm, epsilon: configuration.normEpsilon)
    }

    /// What down reads: silu(gate) · up, `[batch, tokens, intermediate]`.
    package func gate(_ x: Tensor, observer: (any LinearObserver)? = nil) throws -> Tensor {
        let (gate, up) = (try self[.gate](x), try self[.up](x))
        try observer?.didCompute(gate, .gate)
        try observer?.didCompute(up, .up)
        return try gate.swiGLU(up)
    }

    /// What output reads, without a cache: `[batch, tokens, heads · headDim]`.
    package func attend(_ x: Tensor, rotary: RotaryTables) throws -> Tensor {
        var none: KVCache?
        return try attend(x, rotary: rotary, cache: &none, observer: nil)
    }

    /// - Returns: `[batch, tokens, heads · headDim]`.
    private func attend(
        _ x: Tensor, rotary: RotaryTables, cache: inout KVCache?, observer: (any LinearObserver)?
    ) throws -> Tensor {
        let (batch, tokens) = (x.shape[0], x.shape[1])
        let past = cache?.length ?? 0
        let angles = try rotary.angles(at: past..<past + tokens)
        var (queries, keys, values) = try heads(of: x, angles, observer: observer)
        queries = try queries.transposed(1, 2)
        keys = try keys.transposed(1, 2)
        values = try values.transposed(1, 2)
        if cache != nil {
            (keys, values) =
                try cache?.extend(layer: index, keys: keys, values: values) ?? (keys, values)
        }
        let attended = try AttentionMask(
            queries: tokens, past: past, window: configuration.slidingWindows[index]
        ).attend(queries, keys, values)
        return try attended.transposed(1, 2).reshaped([batch, tokens, -1])
    }

    /// Queries and keys, normalised and turned, and values: `[batch, tokens, heads, headDim]` each.
    private func heads(
        of x: Tensor, _ angles: (cosines: Tensor, sines: Tensor), observer: (any LinearObserver)?
    ) throws -> (queries: Tensor, keys: Tensor, values: Tensor) {
        func heads(_ projection: Projection, _ count: Int) throws -> Tensor {
            let y = try self[projection](x)
            try observer?.didCompute(y, projection)
            return try y.reshaped([x.shape[0], x.shape[1], count, configuration.headDim])
        }
        var queries = try heads(.query, configuration.headCount)
        var keys = try heads(.key, configuration.keyValueHeadCount)
        if let queryNorm, let keyNorm {
            queries = try queries.rmsNorm(queryNorm, epsilon: configuration.normEpsilon)
            keys = try keys.rmsNorm(keyNorm, epsilon: configuration.normEpsilon)
        }
        return (
            try RotaryTables.rotate(queries, by: angles), try RotaryTables.rotate(keys, by: angles),
            try heads(.value, configuration.keyValueHeadCount)
        )
    }
}
