import TensorNetworks
import Tensors
import Testing

@Suite("Shared input factors")
struct SharedInputFitTests {
    private func objectives(
        _ rows: [Int], _ columns: Int, isTwoSided: Bool
    ) throws -> (objectives: [FitObjective], moment: Tensor, outputs: [Tensor]) {
        let a = try Samples.moment(columns, seed: 2)
        let moment = try SecondMoment(a, size: columns, shrinkage: 0, name: "a")
        // Of very different scales, which must keep their proportions.
        let outputs = try rows.enumerated().map { index, size in
            try Samples.moment(size, seed: UInt64(40 + index)) * [1e-6, 3e-6, 2e-5][index]
        }
        let objectives = try rows.enumerated().map { index, size in
            try FitObjective(
                weight: Samples.matrix(size, columns, seed: UInt64(10 + index)), moment: moment,
                output: isTwoSided
                    ? SecondMoment(outputs[index], size: size, shrinkage: 0, name: "g") : nil)
        }
        return (objectives, a, outputs)
    }

    /// The truncated SVD of the stack of L_Gᵢᵀ·Wᵢ·L, with Cholesky factors of the moments themselves.
    @Test(arguments: [[12, 20, 16], [30, 30, 30]], [true, false])
    func equalsTheDecompositionOfTheStack(rows: [Int], isTwoSided: Bool) throws {
        let columns = 24
        let (objectives, a, outputs) = try objectives(rows, columns, isTwoSided: isTwoSided)
        let l = try #require(try a.cholesky())
        var roots: [Tensor] = []
        for output in outputs { roots.append(try #require(try output.cholesky())) }
        let whitened = try zip(objectives, roots).map { objective, root in
            let right = try objective.target.matmul(l)
            return isTwoSided ? try root.transposed().matmul(right) : right
        }
        let (u, s, vt) = try Tensor.concatenated(whitened, along: 0).svd()
        for rank in [1, 5, 12] {
            let low = try (u * s).narrowed(1, 0..<rank).matmul(vt.narrowed(0, 0..<rank))
            let fit = try SharedInputFit(objectives, rank: rank)
            var start = 0
            for (index, pair) in fit.pairs.enumerated() {
                var part = try low.narrowed(0, start..<start + rows[index])
                if isTwoSided {
                    part = try roots[index].transposed().solveTriangular(part, upper: true)
                }
                let expected = try l.solveTriangular(part, upper: false, onLeft: false)
                let found = try Factorization.lowRank(pair).reconstructed()
                #expect(try relativeDistance(found, expected) < 1e-8)
                start += rows[index]
            }
        }
    }

    @Test func fullRankIsExact() throws {
        let (objectives, _, _) = try objectives([20, 24], 20, isTwoSided: true)
        let fit = try SharedInputFit(objectives, rank: 20)
        for (objective, pair) in zip(objectives, fit.pairs) {
            let found = try Factorization.lowRank(pair).reconstructed()
            #expect(try relativeDistance(found, objective.target) < 1e-10)
        }
    }

    @Test func oneMatrixAloneIsTheOrdinaryFit() throws {
        let (objectives, _, _) = try objectives([18], 24, isTwoSided: true)
        let shared = try SharedInputFit(objectives, rank: 7)
        let (single, _) = try Factorization.fit(objectives[0], format: .lowRank(rank: 7))
        let found = try Factorization.lowRank(shared.pairs[0]).reconstructed()
        #expect(try relativeDistance(found, single.reconstructed()) < 1e-8)
    }

    @Test func theStoredInputFactorIsFittedToTheRoundedOutputs() throws {
        let (objectives, _, _) = try objectives([16, 20], 24, isTwoSided: true)
        let fit = try SharedInputFit(objectives, rank: 6)
        let stored = try fit.stored(as: .bfloat16)
        #expect(stored.allSatisfy { $0.input.elementType == .bfloat16 })
        func loss(_ pairs: [LowRank]) throws -> Double {
            try zip(objectives, pairs).reduce(0) { sum, next in
                let (objective, pair) = next
                let matrix = try Factorization.lowRank(pair)
                    .mapTensors { try $0.converted(to: .float64) }.reconstructed()
                let scale = objective.output?.scale ?? 1
                return try sum + objective.relativeError(of: matrix) * objective.energy * scale
            }
        }
        let blind = try fit.pairs.map {
            try LowRank(
                output: $0.output.converted(to: .bfloat16),
                input: $0.input.converted(to: .bfloat16))
        }
        let (exact, refitted, rounded) = (try loss(fit.pairs), try loss(stored), try loss(blind))
        #expect(exact <= refitted && refitted < rounded)
    }

    @Test func aRankAboveOneOfTheMatricesIsRefused() throws {
        let (objectives, _, _) = try objectives([6, 20], 24, isTwoSided: false)
        #expect(throws: NetworkError.self) { try SharedInputFit(objectives, rank: 7) }
    }
}
