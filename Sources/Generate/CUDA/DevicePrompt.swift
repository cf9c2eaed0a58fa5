// A prompt on a GPU is bound by the arithmetic of its products, which libtorch computes at the speed of the tensor cores, if
// little else takes time: what stands between them reads and writes every activation once. Only keys and values of the
// last block are wanted of all tokens: the rest of it is computed of those behind which logits are.
import Artifacts
import Kernels
import Models
import Tensors

/// Computes the tokens of prompts.
final class DevicePrompt {
    private let model: CausalLanguageModel
    private let cache: PagedCache
    private let kernels: PromptKernels
    private let attention: PromptAttention
    private let angles: PromptKernels.Angles

    /// - Parameter angles: float32 `[positions, headDim / 2]` on the GPU, of all positions that the cache has room for.
    /// - Precondition: a model that `DeviceModel` supports.
    init(
        _ model: CausalLanguageModel, _ cache: PagedCache, angles: PromptKernels.Angles,
        _ kernels: PromptKernels
    ) throws {
        (self.model, self.cache, self.angles, self.kernels) = (model, cache, angles, kernels)
        attention = try PromptAttention(
            model.configuration, cache, kernels, on: model.device)
    }

    /// The residual stream on its way through the blocks.
    private struct Rows {
        /// bfloat16 `[rows, hidden]`.
        var residual: Tensor
        /// What the last sublayer computed, and is not added yet.
        var addend: Tensor?
        /// Memory of normalised rows.
        var normalized: Tensor
        var places: PromptKernels.Places
        /// int64, where a cache of fewer bits has each token's heads.
        let cacheRows: Tensor?
        var spans: [PromptChunk.Span]
    }

    /// - Parameters:
    ///   - tapped: layers.
    ///   - take: gets what enters those, of each request's tokens, bfloat16 `[tokens, tapped · hidden]`.
    /// - Returns: logits `[predictions, vocabulary]` of the items that predict, in their order, and of those whose prompts are
    ///   scored how likely the tokens were.
    func logits(
        of items: [Scheduler.Item], tapping tapped: [Int] = [],
        _ take: (RequestID, Tensor) -> Void = { _, _ in }
    ) throws -> (logits: Tensor, scores: [RequestID: [TokenLogprobs]]) {
        try withoutGradients {
            let chunk = PromptChunk(items, blockTokens: cache.blockTokens)
            let values = try Tensor(chunk.values, shape: [3, chunk.tokens])
                .uploaded(to: model.device)
            let blocks = try chunk.pieces.map {
                try Tensor($0.blocks, shape: [$0.blocks.count]).uploaded(to: model.device)
            }
            let residual = try model.ends.embed(values.selected(0, 0))
            var rows = Rows(
                residual: residual, addend: nil,
                normalized: try Tensor.uninitialized(
                    residual.shape, .bfloat16, on: model.device),
                places: .init(
                    positions: try values.selected(0, 1), slots: try values.selected(0, 2)),
                cacheRows: cache.memory(ofLayer: 0).keyScales == nil ? nil : try cacheRows(chunk),
                spans: chunk.spans)
            var inputs: [Int: Tensor] = [:]
            for block in model.blocks {
                let isLast = block.index + 1 == model.blocks.count
                try normalize(&rows, block.attentionNorm)
                if tapped.contains(block.index) {
                    inputs[block.index] = try rows.residual.copied()
                }
                if block.index == tapped.max() {
                    let features = try Tensor.concatenated(
                        tapped.compactMap { inputs[$0] }, along: 1)
                    for (item, span) in zip(items, chunk.spans) {
                        take(item.request, try features.narrowed(0, span.rows))
                    }
                }
                let (keys, values) = try remember(rows, block)
                if isLast {
                    guard !chunk.keptRows.isEmpty else { break }
                    try keep(chunk.keptRows, of: &rows, spans: chunk.keptSpans)
                }
                rows.addend = try attend(
                    rows, block, .init(chunk: chunk, keys: keys, values: values, blocks: blocks))
                try normalize(&rows, block.feedForwardNorm)
                rows.addend = try feedForward(rows.normalized, block)
            }
            let none = try Tensor.zeros(
                [0, model.configuration.vocabularySize], .bfloat16, on: model.device)
            guard !chunk.keptRows.isEmpty else { return (none, [:]) }
            try normalize(&rows, model.ends.norm)
            guard chunk.predictingRows.count < chunk.keptRows.count else {
                return (try model.ends.project(rows.normalized), [:])
            }
            func these(_ places: [Int]) throws -> Tensor {
                try rows.normalized.selecting(
                    Tensor(places, shape: [places.count]).uploaded(to: model.device), along: 0)
            }
            return (
                chunk.predictingRows.isEmpty
                    ? none : try model.ends.project(these(chunk.predictingRows)),
                try PromptScores(model.ends).scores(of: items, these(chunk.scoredRows))
            )
        }
    }

    private func normalize(_ rows: inout Rows, _ gain: Tensor) throws {
        try kernels.normalize(
            rows.residual, adding: rows.addend, gain: gain, into: rows.normalized)
        rows.addend = nil
    }

    /// Forgets all rows but some.
    private func keep(
        _ kept: [Int], of rows: inout Rows, spans: [PromptChunk.Span]
    ) throws {
        let indices = try Tensor(kept, shape: [kept.count]).uploaded(to: model.device)
        func these(_ tensor: Tensor) throws -> Tensor { try tensor.selecting(indices, along: 0) }
        rows = Rows(
            residual: try these(rows.residual), addend: nil,
            normalized: try these(rows.normalized),
            places: .init(
                positions: try these(rows.places.positions), slots: try these(rows.places.slots)),
            cacheRows: nil, spans: spans)
    }

    /// Writes what the tokens are remembered by into the cache.
    /// - Returns: keys and values, `[tokens, keyValueWidth]` each.
    private func remember(
        _ rows: Rows, _ block: DecoderBlock
    ) throws -> (keys: Tensor, values: Tensor) {
        let keys = try block[.key](rows.normalized).contiguous()
        let values = try block[.value](rows.normalized).contiguous()
        let memory = cache.memory(ofLayer: block.index)
        try kernels.turn(
            keys: keys, values, norm: block.keyNorm, by: angles, at: rows.places,
            into: rows.cacheRows == nil ? (memory.keys, memory.values) : nil)
        if let places = rows.cacheRows {
            try cache.write(layer: block.index, keys: keys, values: values, rows: places)
        }
        return (keys, values)
    }

    /// int64, where the cache has each token's heads.
    private func cacheRows(_ chunk: PromptChunk) throws -> Tensor {
        let rows = chunk.pieces.flatMap { piece in
            (piece.start..<piece.total).flatMap { position in
                (0..<model.configuration.keyValueHeadCount).map {
                    cache.row(position, head: $0, in: piece.blocks)
                }
            }
        }
        return try Tensor(rows, shape: [rows.count]).uploaded(to: model.device)
    }

    /// - Returns: what the block adds to the residual stream first, `[rows, hidden]`.
    private func attend(
        _ rows: Rows, _ block: DecoderBlock, _ seen: PromptAttention.Seen
    ) throws -> Tensor {
        let queries = try block[.query](rows.normalized).contiguous()
        try kernels.turn(queries: queries, norm: block.queryNorm, by: angles, at: rows.places)
        let attended = try attention.attend(
            layer: block.index, queries, to: seen, spans: rows.spans)
        return try block[.output](attended).contiguous()
    }

    private func feedForward(_ x: Tensor, _ block: DecoderBlock) throws -> Tensor {
        let gate = try block[.gate](x).contiguous()
        try kernels.gate(gate, block[.up](x).contiguous())
        return try block[.down](gate).contiguous()
    }
}
