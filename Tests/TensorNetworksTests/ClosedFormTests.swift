import TensorNetworks
import Tensors
import Testing

@Suite("Closed-form low rank")
struct ClosedFormTests {
    /// Ŵ = L_G⁻ᵀ·SVD_k(L_Gᵀ·W·C·L⁻ᵀ)·L⁻¹ with Cholesky factors and a full SVD: SVD-LLM's formula,
    /// two-sided and anchored.
    private func reference(
        _ w: Tensor, _ a: Tensor, _ c: Tensor, _ g: Tensor, rank: Int
    ) throws -> Tensor {
        let l = try #require(try a.cholesky())
        let lg = try #require(try g.cholesky())
        let m = try lg.transposed().matmul(w).matmul(
            l.solveTriangular(c.transposed(), upper: false).transposed())
        let (u, s, vt) = try m.svd()
        let low = try (u * s).narrowed(1, 0..<rank).matmul(vt.narrowed(0, 0..<rank))
        let left = try lg.transposed().solveTriangular(low, upper: true)
        return try l.solveTriangular(left, upper: false, onLeft: false)
    }

    @Test(arguments: [[24, 40], [40, 24], [16, 16]], [true, false])
    func equalsTheTextbookFormula(size: [Int], isTwoSided: Bool) throws {
        let (m, n) = (size[0], size[1])
        let w = try Samples.matrix(m, n, seed: 1)
        let a = try Samples.moment(n, seed: 2)
        let g = try isTwoSided ? Samples.moment(m, seed: 3) : Tensor.identity(m, .float64)
        let objective = try FitObjective(
            weight: w, input: a, output: isTwoSided ? g : nil, shrinkage: 0, outputShrinkage: 0)
        let spectrum = try WeightedSpectrum(of: objective)
        for rank in [1, 5, 15, 16] {
            let fit = try Factorization.lowRank(spectrum.lowRank(rank)).reconstructed()
            #expect(try relativeDistance(fit, reference(w, a, a, g, rank: rank)) < 1e-10)
            let total = spectrum.energies.reduce(0, +)
            let left = spectrum.energies[rank...].reduce(0, +)
            #expect(abs(try objective.relativeError(of: fit) - left / total) < 1e-13)
        }
    }

    @Test func anchoredEqualsTheTextbookFormula() throws {
        let (m, n) = (20, 30)
        let w = try Samples.matrix(m, n, seed: 1)
        let g = try Samples.moment(m, seed: 4)
        // Inputs x and their shifted copies x̂.
        let x = try Samples.matrix(400, n, seed: 5).matmul(Samples.moment(n, seed: 2))
        let shifted = try x + Samples.matrix(400, n, seed: 6) * 0.03
        let a = try x.transposed().matmul(x) / 400
        let ahat = try shifted.transposed().matmul(shifted) / 400
        let c = try x.transposed().matmul(shifted) / 400
        let objective = try FitObjective(
            weight: w, input: ahat, wanted: w.matmul(c), output: g, shrinkage: 0,
            outputShrinkage: 0)
        let fit = try Factorization.lowRank(WeightedSpectrum(of: objective).lowRank(7))
            .reconstructed()
        #expect(try relativeDistance(fit, reference(w, ahat, c, g, rank: 7)) < 1e-9)

        // J as the data define it.
        let lg = try #require(try g.cholesky())
        func loss(_ estimate: Tensor) throws -> Double {
            try (x.linear(w) - shifted.linear(estimate)).matmul(lg).squared().sum().scalar()
        }
        let zero = try Tensor.zeros([m, n], .float64)
        let least = try loss(objective.target)
        let expected = try (loss(fit) - least) / (loss(zero) - least)
        #expect(abs(try objective.relativeError(of: fit) / expected - 1) < 1e-9)
        // Ignoring the shift is worse, which the data agree with.
        let naive = try Factorization.lowRank(
            WeightedSpectrum(of: FitObjective(weight: w, input: a, output: g, shrinkage: 0))
                .lowRank(7)
        ).reconstructed()
        #expect(try loss(fit) < loss(naive))
    }

    /// Alternating least squares on the anchored objective, from a random start: its optimum is the
    /// closed form's.
    @Test func anchoredEqualsAlternatingLeastSquares() throws {
        let (m, n, rank) = (12, 18, 3)
        let w = try Samples.matrix(m, n, seed: 21)
        let x = try Samples.matrix(200, n, seed: 22).matmul(Samples.moment(n, seed: 23))
        let shifted = try x + Samples.matrix(200, n, seed: 24) * 0.05
        let ahat = try shifted.transposed().matmul(shifted) / 200
        let c = try x.transposed().matmul(shifted) / 200
        let objective = try FitObjective(
            weight: w, input: ahat, wanted: w.matmul(c), shrinkage: 0)
        let closed = try Factorization.lowRank(WeightedSpectrum(of: objective).lowRank(rank))
        let wc = try w.matmul(c)
        var v = try Samples.matrix(rank, n, seed: 25)
        var u = try Tensor.zeros([m, rank], .float64)
        for _ in 0..<3000 {
            // u·(v Â vᵀ) = W C vᵀ;  (uᵀu)·v·Â = uᵀ W C
            let va = try v.matmul(ahat)
            u = try va.matmul(v.transposed())
                .solve(wc.matmul(v.transposed()).transposed()).transposed()
            let right = try ahat.solve(u.transposed().matmul(wc).transposed()).transposed()
            v = try u.transposed().matmul(u).solve(right)
        }
        let error = try objective.relativeError(of: closed.reconstructed())
        let alternating = try objective.relativeError(of: u.matmul(v))
        #expect(abs(alternating - error) < 1e-9 * error)
    }

    /// Plain gradient descent on both factors finds nothing below the closed form, and gets there.
    @Test func gradientDescentEndsAtTheClosedForm() throws {
        let (m, n, rank) = (6, 8, 2)
        let objective = try FitObjective(
            weight: Samples.matrix(m, n, seed: 7), input: Samples.moment(n, seed: 8),
            output: Samples.moment(m, seed: 9))
        let best = try objective.relativeError(
            of: Factorization.lowRank(WeightedSpectrum(of: objective).lowRank(rank))
                .reconstructed())
        let g = try #require(objective.output).matrix
        var u = try Samples.matrix(m, rank, seed: 10) * 0.3
        var v = try Samples.matrix(rank, n, seed: 11) * 0.3
        for _ in 0..<20000 {
            let d = try g.matmul(u.matmul(v) - objective.target).matmul(objective.input.matrix)
            let (du, dv) = (
                try d.matmul(v.transposed()), try u.transposed().matmul(d)
            )
            u = try u - du * 0.01
            v = try v - dv * 0.01
        }
        let found = try objective.relativeError(of: u.matmul(v))
        #expect(found > best * (1 - 1e-9))
        #expect(found < best * (1 + 1e-6))
    }
}

@Suite("Pivoting")
struct PivotingTests {
    @Test(arguments: [
        [1, 1, 1], [1, 9, 1], [9, 1, 1], [12, 7, 7], [40, 60, 17], [90, 50, 50],
    ])
    func losesNothing(size: [Int]) throws {
        let (m, n, k) = (size[0], size[1], size[2])
        let low = try LowRank(
            output: Samples.matrix(m, k, seed: 1), input: Samples.matrix(k, n, seed: 2))
        let pivoted = try low.pivoted()
        let dense = try Factorization.lowRank(low).reconstructed()
        let network = Factorization.pivotedLowRank(pivoted)
        #expect(try relativeDistance(network.reconstructed(), dense) < 1e-12)
        #expect(network.parameterCount == k * (m + n) - k * k)
        #expect(pivoted.basis.shape == [k, n])
        #expect(pivoted.coefficients.shape == [m - k, k])
        // The kept rows are rows of the matrix.
        let rows = try dense.selecting(pivoted.pivots, along: 0)
        #expect(try relativeDistance(pivoted.basis, rows) < 1e-12)
        if m > k { #expect(try pivoted.coefficients.magnitude().max().scalar() < 8) }
    }

    @Test func sameInputSameBits() throws {
        let low = try LowRank(
            output: Samples.matrix(40, 9, seed: 1), input: Samples.matrix(9, 30, seed: 2))
        let (a, b) = (try low.pivoted(), try low.pivoted())
        #expect(try a.pivots.elements(as: Int32.self) == b.pivots.elements(as: Int32.self))
        #expect(
            try a.coefficients.elements(as: Double.self)
                == b.coefficients.elements(as: Double.self))
    }

    @Test(arguments: [0, 1, 4])
    func lowerRankThanStored(rank: Int) throws {
        // Six columns, of which only `rank` are independent.
        let base = try Samples.matrix(20, max(rank, 1), seed: 1) * (rank == 0 ? 0 : 1)
        let low = try LowRank(
            output: base.matmul(Samples.matrix(max(rank, 1), 6, seed: 3)),
            input: Samples.matrix(6, 15, seed: 2))
        let dense = try Factorization.lowRank(low).reconstructed()
        let pivoted = Factorization.pivotedLowRank(try low.pivoted())
        let error = try (pivoted.reconstructed() - dense).norm().scalar()
        #expect(error <= 1e-12 * (try dense.norm().scalar()))
        #expect(try pivoted.parts[1].tensor.magnitude().max().scalar() < 8)
    }
}
