import Testing

@testable import Generate

@Suite("Rows dealt to thread blocks")
struct RowPassesTests {
    static let shapes: [RowPasses] = [
        .init(parts: [.init(rows: 5_120, columns: 8_192)], isPaired: false, tiles: 8),
        .init(
            parts: [
                .init(rows: 8_192, columns: 1_920), .init(rows: 1_024, columns: 512),
                .init(rows: 1_024, columns: 512),
            ], isPaired: false, tiles: 8),
        .init(
            parts: [.init(rows: 25_600, columns: 5_120), .init(rows: 25_600, columns: 5_120)],
            isPaired: true, tiles: 4),
        .init(
            parts: [.init(rows: 25_600, columns: 2_624), .init(rows: 25_600, columns: 2_624)],
            isPaired: true, isApart: true, tiles: 8),
        .init(parts: [.init(rows: 3, columns: 8)], isPaired: false, tiles: 8),
        .init(parts: [.init(rows: 151_936, columns: 5_120)], isPaired: false, tiles: 8),
    ]

    @Test("every row is computed once, in passes that fit", arguments: shapes, [1, 8, 132])
    func everyRowOnce(passes: RowPasses, blocks: Int) {
        let dealt = passes.dealt(to: blocks)
        #expect(dealt.count == blocks)
        var seen = passes.parts.map { [Int](repeating: 0, count: $0.rows) }
        for pass in dealt.joined() {
            #expect((1...passes.limit).contains(pass.rows))
            for row in pass.row..<pass.row + pass.rows { seen[pass.part][row] += 1 }
        }
        for (part, rows) in seen.enumerated() {
            #expect(rows.allSatisfy { $0 == (passes.isPaired && part > 0 ? 0 : 1) })
        }
    }

    @Test("no block has more than a row's work above its share", arguments: shapes)
    func balance(passes: RowPasses) {
        let blocks = 132
        let parts = passes.isPaired ? Array(passes.parts.prefix(1)) : passes.parts
        let costs = parts.map { $0.columns + RowPasses.overhead }
        let share = zip(parts, costs).reduce(0) { $0 + $1.0.rows * $1.1 } / blocks
        for block in passes.dealt(to: blocks) {
            let work = block.reduce(0) { $0 + $1.rows * costs[$1.part] }
            #expect(work <= share + 2 * (costs.max() ?? 0))
        }
    }

    @Test(
        "no block computes more tiles than its rows need, and passes differ by one at most",
        arguments: shapes)
    func wholeTiles(passes: RowPasses) {
        let tile = passes.isPaired && !passes.isApart ? 8 : 16
        func tiles(_ rows: Int) -> Int { (rows + tile - 1) / tile }
        for block in passes.dealt(to: 132) {
            for part in passes.parts.indices {
                let own = block.filter { $0.part == part }.map(\.rows)
                #expect(own.reduce(0) { $0 + tiles($1) } == tiles(own.reduce(0, +)))
                let counts = own.map(tiles)
                #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
            }
        }
    }
}
