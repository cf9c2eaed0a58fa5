import Tensors

/// Pieces of several sequences that go through the model together, one behind the other.
package struct PagedBatch {
    /// Tokens of one sequence, behind those of it that the cache has.
    package struct Piece {
        package let tokens: [Int32]
        /// Position of the first.
        package let start: Int
        /// Of all the sequence's positions up to the last of these.
        package let blocks: [Int]

        package init(tokens: [Int32], start: Int, blocks: [Int]) {
            (self.tokens, self.start, self.blocks) = (tokens, start, blocks)
        }
    }

    /// int64 `[1, tokens]`.
    let ids: Tensor
    /// Of all tokens' positions, each `[tokens, 1, headDim / 2]`.
    let angles: (cosines: Tensor, sines: Tensor)
    private let pieces: [Piece]
    private let cache: PagedCache
    /// int64, where each token's heads are kept, and the blocks of each piece.
    private let rows: Tensor
    private let blocks: [Tensor]

    package init(
        _ pieces: [Piece], _ cache: PagedCache, kvHeads: Int, rotary: RotaryTables,
        on device: Device
    ) throws {
        self.pieces = pieces
        self.cache = cache
        let tokens = pieces.flatMap { $0.tokens.map(Int.init) }
        ids = try Tensor(tokens, shape: [1, tokens.count], on: device)
        let positions = pieces.flatMap { $0.start..<$0.start + $0.tokens.count }
        angles = try rotary.angles(at: positions)
        let rows = pieces.flatMap { piece in
            (piece.start..<piece.start + piece.tokens.count).flatMap { position in
                (0..<kvHeads).map { cache.row(position, head: $0, in: piece.blocks) }
            }
        }
        self.rows = try Tensor(rows, shape: [rows.count], on: device)
        blocks = try pieces.map { try Tensor($0.blocks, shape: [$0.blocks.count], on: device) }
    }

    /// Remembers the tokens in `layer` and lets each look at its own sequence.
    /// - Parameters:
    ///   - queries: `[1, tokens, heads, headDim]`; keys and values with `kvHeads`.
    ///   - window: tokens that each sees at most.
    /// - Returns: `[1, tokens, heads · headDim]`.
    func attend(
        layer: Int, _ queries: Tensor, _ keys: Tensor, _ values: Tensor, window: Int?
    ) throws -> Tensor {
        try cache.write(layer: layer, keys: keys, values: values, rows: rows)
        var (attended, offset) = ([Tensor](), 0)
        for (piece, blocks) in zip(pieces, blocks) {
            let count = piece.tokens.count
            let known = try cache.read(layer: layer, blocks: blocks, tokens: piece.start + count)
            attended.append(
                try Self.attend(
                    queries.narrowed(1, offset..<offset + count),
                    known.keys.converted(to: queries.elementType),
                    known.values.converted(to: queries.elementType), past: piece.start,
                    window: window
                ).reshaped([1, count, -1]))
            offset += count
        }
        return attended.count == 1 ? attended[0] : try Tensor.concatenated(attended, along: 1)
    }

    /// - Parameters:
    ///   - queries: `[1, queries, heads, headDim]`, of the last tokens.
    ///   - keys: `[1, kvHeads, tokens, headDim]`; values alike.
    /// - Returns: shape of the queries.
    private static func attend(
        _ queries: Tensor, _ keys: Tensor, _ values: Tensor, past: Int, window: Int?
    ) throws -> Tensor {
        if queries.device != .cpu, [.bfloat16, .float16].contains(queries.elementType) {
            // What libtorch takes by itself is planned anew, for 40 ms, whenever a sequence has grown.
            return try queries.flashAttention(
                keys: keys.transposed(1, 2), values: values.transposed(1, 2), window: window)
        }
        let mask = AttentionMask(queries: queries.shape[1], past: past, window: window)
        return try mask.attend(queries.transposed(1, 2), keys, values).transposed(1, 2)
    }
}

extension CausalLanguageModel {
    package func batch(_ pieces: [PagedBatch.Piece], _ cache: PagedCache) throws -> PagedBatch {
        try PagedBatch(
            pieces, cache, kvHeads: configuration.keyValueHeadCount, rotary: rotary, on: device)
    }

    /// - Parameter tapped: layers.
    /// - Returns: hidden states after the final norm of the batch's tokens at `places`, `[places, hidden]`; and what enters
    ///   the layers `tapped`, of all tokens, one beside the other, `[tokens, tapped · hidden]`, `nil` where there are none.
    package func hiddenStates(
        _ batch: PagedBatch, at places: [Int], tapping tapped: [Int] = []
    ) throws -> (states: Tensor, tapped: Tensor?) {
        var x = try ends.embed(batch.ids)
        var inputs: [Int: Tensor] = [:]
        for block in blocks {
            if tapped.contains(block.index) { inputs[block.index] = try x.squeezed(0) }
            x = try block.forward(x, batch)
        }
        let wanted = try Tensor(places, shape: [places.count], on: device)
        return (
            try ends.normalize(x.squeezed(0).selecting(wanted, along: 0)),
            tapped.isEmpty
                ? nil : try Tensor.concatenated(tapped.compactMap { inputs[$0] }, along: 1)
        )
    }
}
