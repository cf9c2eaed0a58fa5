// Two kernels attend to long sequences, and neither alone does it well. cuDNN's runs at twice the speed of
// FlashAttention-2 on Hopper, but makes a plan for every new pair of lengths, which takes as long as it saves on some
// thousand tokens, and cannot align fewer queries than tokens to their end: they attend to what is known and to one another
// apart.
import Artifacts
import Models
import Tensors

/// Attention of the tokens of prompts to their sequences.
struct PromptAttention {
    private let configuration: ModelConfiguration
    private let cache: PagedCache
    private let kernels: PromptKernels
    /// Whether libtorch holds cuDNN's kernel for the fastest on this GPU.
    private let hasPlans: Bool

    init(
        _ configuration: ModelConfiguration, _ cache: PagedCache, _ kernels: PromptKernels,
        on device: Device
    ) throws {
        (self.configuration, self.cache, self.kernels) = (configuration, cache, kernels)
        let queries = try Tensor.zeros(
            [1, configuration.headCount, 128, configuration.headDim], .bfloat16, on: device)
        let keys = try Tensor.zeros(
            [1, configuration.keyValueHeadCount, 128, configuration.headDim], .bfloat16, on: device)
        hasPlans = try [true, false].allSatisfy {
            try queries.prefersCuDNNAttention(keys: keys, values: keys, causal: $0)
        }
    }

    /// What is attended to. The cache has it already.
    struct Seen {
        let chunk: PromptChunk
        /// `[tokens, keyValueWidth]` of the whole chunk.
        let keys: Tensor
        let values: Tensor
        /// int64, of each piece.
        let blocks: [Tensor]
    }

    /// - Parameter queries: `[rows, queryWidth]`, of `spans`.
    /// - Returns: `[rows, queryWidth]`.
    func attend(
        layer: Int, _ queries: Tensor, to seen: Seen, spans: [PromptChunk.Span]
    ) throws -> Tensor {
        let attended = try spans.map { span in
            let piece = seen.chunk.pieces[span.piece]
            let known = try known(layer, seen, piece: span.piece)
            let own = try queries.narrowed(0, span.rows).reshaped([
                1, span.rows.count, configuration.headCount, configuration.headDim,
            ])
            return try attend(own, known, piece, window: configuration.slidingWindows[layer])
                .reshaped([span.rows.count, configuration.queryWidth])
        }
        return attended.count == 1 ? attended[0] : try Tensor.concatenated(attended, along: 0)
    }

    /// All tokens of a piece's sequence, `[1, tokens, kvHeads, headDim]` each.
    private func known(
        _ layer: Int, _ seen: Seen, piece index: Int
    ) throws -> (keys: Tensor, values: Tensor) {
        let (piece, rows) = (seen.chunk.pieces[index], seen.chunk.spans[index].rows)
        // What the cache keeps in fewer bits is read as later tokens will read it.
        if piece.start == 0, cache.memory(ofLayer: layer).keys.elementType == .bfloat16 {
            let shape = [1, rows.count, configuration.keyValueHeadCount, configuration.headDim]
            return (
                try seen.keys.narrowed(0, rows).reshaped(shape),
                try seen.values.narrowed(0, rows).reshaped(shape)
            )
        }
        let known = try cache.read(layer: layer, blocks: seen.blocks[index], tokens: piece.total)
        return (
            try known.keys.converted(to: .bfloat16).transposed(1, 2),
            try known.values.converted(to: .bfloat16).transposed(1, 2)
        )
    }

    /// - Parameter queries: `[1, queries, heads, headDim]`, of the piece's last tokens.
    /// - Returns: of the same shape.
    private func attend(
        _ queries: Tensor, _ known: (keys: Tensor, values: Tensor), _ piece: PromptChunk.Piece,
        window: Int?
    ) throws -> Tensor {
        let windowMatters = window.map { piece.total > $0 } ?? false
        guard
            hasPlans, !windowMatters, queries.shape[1] == piece.count,
            Self.isWorthPlan(queries: piece.count, past: piece.start, configuration)
        else {
            return try queries.flashAttention(
                keys: known.keys, values: known.values, window: windowMatters ? window : nil)
        }
        func part(_ tokens: Range<Int>, causal: Bool) throws -> PromptKernels.Part {
            let (attended, totals) = try queries.transposed(1, 2).cuDNNAttention(
                keys: known.keys.narrowed(1, tokens).transposed(1, 2),
                values: known.values.narrowed(1, tokens).transposed(1, 2), causal: causal)
            return PromptKernels.Part(
                attended: try attended.transposed(1, 2).contiguous(),
                totals: try totals.contiguous())
        }
        let own = try part(piece.start..<piece.total, causal: true)
        if piece.start > 0 { try kernels.merge(own, part(0..<piece.start, causal: false)) }
        return own.attended
    }

    /// Whether cuDNN is to attend: where the lengths are those of whole chunks, which recur, or where it saves the time of
    /// its plan at once. Not what came before decides, so that a prompt's bits are the same each time.
    static func isWorthPlan(
        queries: Int, past: Int, _ configuration: ModelConfiguration
    ) -> Bool {
        // 37 ms of an H200 at 325 × 10¹² operations a second instead of 600 × 10¹².
        let operationsOfPlan = 26e12
        let pairs = Double(queries) * (Double(past) + Double(queries + 1) / 2)
        let operations =
            4 * pairs * Double(configuration.queryWidth) * Double(configuration.layerCount)
        let recurs = queries % 1_024 == 0 && past % 1_024 == 0
        return recurs || operations > operationsOfPlan
    }
}
