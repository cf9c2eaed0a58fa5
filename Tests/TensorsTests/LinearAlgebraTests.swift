import Testing

@testable import Tensors

@Suite("Linear algebra")
struct LinearAlgebraTests {
    /// Rounding of a float64 factorisation of a matrix of this size, with room for its constants.
    private func bound(_ a: Tensor) throws -> Double {
        try a.norm().scalar() * Double(a.shape.max() ?? 1) * 1e-14
    }

    private func distance(_ a: Tensor, _ b: Tensor) throws -> Double {
        try (a - b).norm().scalar()
    }

    @Test("factors multiply back", arguments: [[1, 1], [5, 3], [3, 5], [40, 40], [97, 31]])
    func factorisations(shape: [Int]) throws {
        let a = try Tensor.normal(shape, seed: 5, .float64)
        let (u, s, vt) = try a.svd()
        #expect(try distance(try (u * s).matmul(vt), a) <= bound(a))
        #expect(try distance(try a.singularValues(), s) <= bound(a))
        let (q, r) = try a.qr()
        #expect(try distance(try q.matmul(r), a) <= bound(a))

        let gram = try a.matmul(a.transposed()) + Tensor.identity(shape[0], .float64)
        let (values, vectors) = try gram.symmetricEigen()
        #expect(
            try distance(try (vectors * values).matmul(vectors.transposed()), gram) <= bound(gram))
        let lower = try #require(try gram.cholesky())
        #expect(try distance(try lower.matmul(lower.transposed()), gram) <= bound(gram))
        let right = try Tensor.normal([shape[0], 2], seed: 6, .float64)
        #expect(try distance(try gram.matmul(gram.solve(right)), right) <= bound(gram) * 10)
        let forward = try lower.solveTriangular(right, upper: false)
        #expect(try distance(try lower.matmul(forward), right) <= bound(gram))
    }

    @Test("Cholesky of an indefinite matrix is an ordinary outcome")
    func indefinite() throws {
        #expect(try Tensor.identity(3, .float64).cholesky()?.sum().scalar() == 3)
        let indefinite = try Tensor([1, 2, 2, 1] as [Double], shape: [2, 2])
        #expect(try indefinite.cholesky() == nil)
    }

    @Test("least squares takes the least solution of a rank-deficient system")
    func leastSquares() throws {
        let a = try Tensor([1, 1, 1, 1, 1, 1] as [Double], shape: [3, 2])
        let x = try a.leastSquares(try Tensor([2, 2, 2] as [Double], shape: [3, 1]))
        for value in try x.elements(as: Double.self) { #expect(abs(value - 1) < 1e-12) }
    }
}
