/// Which rows of a linear layer each thread block computes, in how many passes: so that all read as many bytes, and none
/// of a pass' tiles is emptier than it must be.
struct RowPasses: Hashable {
    /// Weights that are computed together, each with terms of its own.
    struct Part: Hashable {
        let rows: Int
        /// Values of a row.
        let columns: Int
    }

    let parts: [Part]
    /// Rows of the first part and of the second belong together (gate and up).
    let isPaired: Bool
    /// Of a pair each part has tiles of its own, instead of half of each tile.
    var isApart = false
    /// Of sixteen rows that a pass has at most.
    let tiles: Int

    /// Rows of a tile, or pairs of rows.
    private var tileRows: Int { isPaired && !isApart ? 8 : 16 }
    /// Rows of a pass, or pairs of rows.
    var limit: Int { tiles * (isPaired ? 8 : 16) }
    /// What a row costs beside its bytes, in values: a pass over short rows ends sooner than its sums are added.
    static let overhead = 512

    struct Pass: Equatable {
        let part: Int
        let row: Int
        let rows: Int
    }

    /// - Returns: the passes of each of `blocks` thread blocks, in their order.
    func dealt(to blocks: Int) -> [[Pass]] {
        let dealt = isPaired ? Array(parts.prefix(1)) : parts
        let costs = dealt.map { $0.columns + Self.overhead }
        let total = zip(dealt, costs).reduce(0) { $0 + $1.0.rows * $1.1 }
        return (0..<blocks).map { block in
            let (from, to) = (block * total / blocks, (block + 1) * total / blocks)
            var (passes, start) = ([Pass](), 0)
            for (index, (part, cost)) in zip(dealt, costs).enumerated() {
                // A row belongs to the block in whose share its cost begins.
                func row(_ place: Int) -> Int {
                    min(max((place - start + cost - 1) / cost, 0), part.rows)
                }
                let (first, count) = (row(from), row(to) - row(from))
                start += part.rows * cost
                guard count > 0 else { continue }
                // Of whole tiles, all but the last of them: one that is partly empty takes as long.
                let whole = (count + tileRows - 1) / tileRows
                let number = (count + limit - 1) / limit
                var begin = 0
                for pass in 0..<number {
                    let end = min(count, (whole * (pass + 1) + number - 1) / number * tileRows)
                    passes.append(Pass(part: index, row: first + begin, rows: end - begin))
                    begin = end
                }
            }
            return passes
        }
    }
}
