import Testing

@testable import Report

@Suite("The report's statistics")
struct StatisticsTests {
    @Test("ranks share their mean where values are equal")
    func ranks() {
        #expect(Statistics.ranks([30, 10, 20]) == [3, 1, 2])
        #expect(Statistics.ranks([1, 2, 2, 3]) == [1, 2.5, 2.5, 4])
        #expect(Statistics.ranks([5, 5, 5]) == [2, 2, 2])
    }

    /// scipy.stats.spearmanr gives the same values.
    @Test("Spearman against known values, with and without ties")
    func spearman() throws {
        func rho(_ x: [Double], _ y: [Double]) throws -> Double {
            try #require(Statistics.spearman(Array(zip(x, y))))
        }
        #expect(try rho([1, 2, 3, 4], [1, 10, 100, 1000]) == 1)
        #expect(try rho([1, 2, 3, 4], [4, 3, 2, 1]) == -1)
        // The textbook pair of intelligence and hours before a television: −29/165.
        let television = try rho(
            [106, 86, 100, 101, 99, 103, 97, 113, 112, 110], [7, 0, 27, 50, 28, 29, 20, 12, 6, 17])
        #expect(abs(television + 29.0 / 165) < 1e-12)
        // Ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: 4.5 / √(4.5 · 5).
        #expect(abs(try rho([1, 2, 2, 3], [1, 3, 2, 4]) - (4.5 / 22.5.squareRoot())) < 1e-12)
        #expect(Statistics.spearman([(1, 1)]) == nil)
        #expect(Statistics.spearman([(1, 1), (1, 2)]) == nil)
    }

    @Test("the median of odd, even and no numbers")
    func median() {
        #expect(Statistics.median([3, 1, 2]) == 2)
        #expect(Statistics.median([4, 1, 3, 2]) == 2.5)
        #expect(Statistics.median([]) == nil)
    }

    @Test(
        "matrices stand where their names say",
        arguments: [
            ("model.layers.12.self_attn.q_proj", 12, "self_attn.q_proj"),
            ("transformer.h.0.attn.c_attn", 0, "attn.c_attn"), ("lm_head", nil, "lm_head"),
            ("blocks.3", nil, "blocks.3"), ("", nil, ""),
        ] as [(String, Int?, String)])
    func places(name: String, block: Int?, module: String) {
        #expect(MatrixPlace(name) == MatrixPlace(block: block, module: module))
    }

    @Test("modules in the order in which a block applies them; one short name means one module")
    func grid() {
        let grid = ModelGrid(
            ["1.mlp.down_proj", "0.b.o_proj", "0.a.o_proj", "0.self_attn.q_proj", "head", "1.zeta"]
                .map { (name: $0, item: $0) })
        #expect(
            grid.modules == [
                "self_attn.q_proj", "a.o_proj", "b.o_proj", "mlp.down_proj", "head", "zeta",
            ])
        #expect(
            grid.modules.map(grid.label) == ["q", "a.o_proj", "b.o_proj", "down", "head", "zeta"])
        #expect(grid.blocks == [0, 1, nil])
        let patches = ModelGrid([("0.a", 1), ("0.a", 2)])
        #expect(patches.items(0, "a") == [1, 2])
    }
}
