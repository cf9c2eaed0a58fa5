import Artifacts
import Foundation
import TensorNetworks
import Tensors
import Testing

@testable import Compare

@Suite("Rank allocation")
struct RankAllocationTests {
    /// Matrices of one size whose energies fall off at different rates.
    private func matrices(_ rates: [Double], rows: Int = 96, columns: Int = 64) throws
        -> [RankedMatrix]
    {
        let configuration = try ModelConfiguration(folder: TestModel.tiny)
        return rates.map { rate in
            RankedMatrix(
                module: TestModel.module(configuration.linearModules[0], rows, columns),
                elementType: .bfloat16, energies: (0..<64).map { exp(-rate * Double($0)) })
        }
    }

    private func size(_ matrices: [RankedMatrix], _ formats: [Format]) throws -> Int {
        try zip(matrices, formats).reduce(0) {
            try $0 + $1.1.parameterCount(rows: $1.0.module.rows, columns: $1.0.module.columns)
        }
    }

    @Test(
        "equal shares of energy: what one matrix keeps differs from another's by less than one rank"
    )
    func spectralEnergy() throws {
        let matrices = try matrices([0.5, 0.1, 0.05])
        let budget = matrices.reduce(0) { $0 + $1.size } * 6 / 10
        let formats = try #require(RankAllocation.spectralEnergy(matrices, budget: budget))
        let ranks = formats.map { format -> Int in
            if case .pivotedLowRank(let rank) = format { rank } else { 64 }
        }
        #expect(ranks == ranks.sorted(), "slower decay takes more rank: \(ranks)")
        // One share lies between what each rank keeps and what one rank less would have kept.
        func kept(_ matrix: RankedMatrix, _ rank: Int) -> Double {
            matrix.energies[..<rank].reduce(0, +) / matrix.energies.reduce(0, +)
        }
        let least = zip(matrices, ranks).map { kept($0, $1) }.min() ?? 0
        let most = zip(matrices, ranks).map { kept($0, $1 - 1) }.max() ?? 1
        #expect(most <= least)
        let used = try size(matrices, formats)
        #expect(used <= budget)
        #expect(Double(used) > 0.95 * Double(budget))
    }

    @Test("shares are in proportion to the stable rank, and fill the budget")
    func stableRank() throws {
        let matrices = try matrices([0.4, 0.2, 0.1])
        #expect(abs(matrices[0].stableRank - 1 / (1 - exp(-0.4))) < 1e-9)
        let budget = matrices.reduce(0) { $0 + $1.size } * 4 / 10
        let formats = try #require(RankAllocation.stableRank(matrices, budget: budget))
        let shares = try zip(matrices, formats).map { matrix, format in
            Double(try format.parameterCount(rows: 96, columns: 64)) / Double(matrix.size)
        }
        for index in 1..<3 {
            let expected = matrices[index].stableRank / matrices[0].stableRank
            // Ranks are whole: one more or less is about 2% of a matrix.
            #expect(abs(shares[index] / shares[0] / expected - 1) < 0.15, "\(shares)")
        }
        let used = try size(matrices, formats)
        #expect(used <= budget)
        #expect(Double(used) > 0.95 * Double(budget))
    }

    @Test("a budget below one rank for each has no allocation; one for everything leaves all dense")
    func ends() throws {
        let matrices = try matrices([0.4, 0.2])
        #expect(RankAllocation.spectralEnergy(matrices, budget: 10) == nil)
        #expect(RankAllocation.stableRank(matrices, budget: 10) == nil)
        let all = matrices.reduce(0) { $0 + $1.size }
        #expect(RankAllocation.stableRank(matrices, budget: all) == [.dense, .dense])
    }
}
