import Tensors
import Testing

@testable import TensorNetworks

@Suite("Fits of patches")
struct PatchFitTests {
    private let rows = 18
    private let columns = 24

    private func objective() throws -> FitObjective {
        try FitObjective(
            weight: Samples.matrix(rows, columns, seed: 1), input: Samples.moment(columns, seed: 2),
            output: Samples.moment(rows, seed: 3), shrinkage: 0.02, outputShrinkage: 0.05)
    }

    /// Four blocks of unequal size.
    private var blocks: [(rows: Range<Int>, columns: Range<Int>)] {
        [(0..<7, 0..<10), (7..<18, 0..<10), (0..<7, 10..<24), (7..<18, 10..<24)]
    }

    private func error(_ rank: Int, compensating: Bool) throws -> Double {
        let objective = try objective()
        let error = try Tensor.zeros([rows, columns], .float64)
        for (index, block) in blocks.enumerated() {
            let part = try objective.patch(
                rows: block.rows, columns: block.columns,
                given: compensating && index > 0 ? error : nil)
            let limit = min(block.rows.count, block.columns.count)
            let fit = try Factorization.fit(part, format: .lowRank(rank: min(rank, limit)))
            try error.narrowed(0, block.rows).narrowed(1, block.columns).assign(
                objective.target.narrowed(0, block.rows).narrowed(1, block.columns)
                    - fit.factorization.reconstructed())
        }
        return try objective.relativeError(of: objective.target - error)
    }

    @Test("patches of full rank are exact")
    func exact() throws {
        #expect(try error(18, compensating: true) < 1e-18)
    }

    @Test("a patch makes good what those before it lost", arguments: [1, 2, 4])
    func compensation(_ rank: Int) throws {
        let (alone, together) = (
            try error(rank, compensating: false), try error(rank, compensating: true)
        )
        #expect(together < 0.98 * alone, "rank \(rank): \(together) of \(alone)")
    }

    @Test("the shift of a patch's target is the minimiser over that patch")
    func minimiser() throws {
        let objective = try objective()
        let block = blocks[1]
        let error = try Samples.matrix(rows, columns, seed: 9) * 0.1
        try error.narrowed(0, block.rows).narrowed(1, block.columns).fill(0)
        let part = try objective.patch(rows: block.rows, columns: block.columns, given: error)
        func total(_ patch: Tensor) throws -> Double {
            let estimate = try objective.target - error
            try estimate.narrowed(0, block.rows).narrowed(1, block.columns).assign(patch)
            return try objective.relativeError(of: estimate)
        }
        let best = try total(part.target)
        for seed in 20..<24 as Range<UInt64> {
            let step =
                try Samples.matrix(
                    block.rows.count, block.columns.count, seed: seed) * 1e-3
            #expect(try total(part.target + step) > best)
        }
    }
}
