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
    /// Rows that are computed to the end: those behind which logits are wanted, and all of a piece that is scored.
    let keptRows: [Int]
    /// Of the same rows, when only they are left.
    let keptSpans: [Span]
    /// Among them: those behind which logits are wanted, and those that say how likely the tokens behind them were.
    let predictingRows: [Int]
    let scoredRows: [Int]
    /// Tokens, their positions and their slots in the cache, `[3 · tokens]`.
    let values: [Int32]

    /// - Parameter blockTokens: of a block of the cache.
    init(_ items: [Scheduler.Item], blockTokens: Int) {
        pieces = items.map {
            Piece(start: $0.start, count: $0.tokens.count, blocks: $0.blocks)
        }
        var (spans, keptSpans, keptRows) = ([Span](), [Span](), [Int]())
        var (predictingRows, scoredRows) = ([Int](), [Int]())
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
            let (row, isScored) = (keptRows.count, item.scoring != nil)
            guard item.predicts || isScored else { continue }
            // A span is of a piece's last tokens, so that a piece that is scored is kept as it is.
            keptRows += tokens.count - (isScored ? item.tokens.count : 1)..<tokens.count
            keptSpans.append(Span(piece: index, rows: row..<keptRows.count))
            scoredRows += item.scoredRows.map { row + $0 }
            if item.predicts { predictingRows.append(keptRows.count - 1) }
        }
        (self.spans, self.keptSpans, self.keptRows) = (spans, keptSpans, keptRows)
        (self.predictingRows, self.scoredRows) = (predictingRows, scoredRows)
        values = tokens + positions + slots
    }

    var tokens: Int { values.count / 3 }
}
