import Models
import Tensors

/// Tokens of several sequences that go through the model together, one sequence behind the other, and where they stand.
struct PromptChunk {
    /// Tokens of one sequence, behind those of it that the cache has.
    struct Piece: Equatable {
        let start: Int
        let count: Int
        /// Of all the sequence's positions up to the last of these.
        let blocks: [Int]

        var total: Int { start + count }
    }

    /// Rows of a tensor that hold the last tokens of a piece.
    struct Span: Equatable {
        let piece: Int
        let rows: Range<Int>
    }

    let pieces: [Piece]
    /// Of all rows.
    let spans: [Span]
    /// Of the rows behind which logits are wanted, when only they are left.
    let predictingSpans: [Span]
    /// The same rows among all.
    let predictingRows: [Int]
    /// Tokens, their positions and their slots in the cache, `[3 · tokens]`.
    let values: [Int32]

    /// - Parameter blockTokens: of a block of the cache.
    init(_ items: [Scheduler.Item], blockTokens: Int) {
        pieces = items.map {
            Piece(start: $0.start, count: $0.tokens.count, blocks: $0.blocks)
        }
        var (spans, predictingSpans, predictingRows) = ([Span](), [Span](), [Int]())
        var (tokens, positions, slots) = ([Int32](), [Int32](), [Int32]())
        for (index, item) in items.enumerated() {
            spans.append(Span(piece: index, rows: tokens.count..<tokens.count + item.tokens.count))
            tokens += item.tokens
            for position in item.start..<item.start + item.tokens.count {
                positions.append(Int32(position))
                slots.append(
                    Int32(
                        item.blocks[position / blockTokens] * blockTokens + position % blockTokens))
            }
            guard item.predicts else { continue }
            let row = predictingRows.count
            predictingSpans.append(Span(piece: index, rows: row..<row + 1))
            predictingRows.append(tokens.count - 1)
        }
        (self.spans, self.predictingSpans, self.predictingRows) =
            (spans, predictingSpans, predictingRows)
        values = tokens + positions + slots
    }

    var tokens: Int { values.count / 3 }
}
