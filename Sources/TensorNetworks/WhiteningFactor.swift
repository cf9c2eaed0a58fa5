import Tensors

/// L with L·Lᵀ = A for a symmetric A `[size, size]` that should be positive semidefinite, and is by
/// rounding or measurement only nearly so.
///
/// Cholesky where that is safe; else L = Q·√Λ from A = Q·Λ·Qᵀ with the eigenvalues raised to a floor,
/// which is slower and never fails.
package struct WhiteningFactor {
    private enum Form {
        case lower(Tensor)
        case eigen(vectors: Tensor, roots: Tensor)
    }

    private let form: Form

    /// Least eigenvalue relative to the largest; below it the inverse of L would be rounding noise.
    private static let floor = 1e-12

    package init(of matrix: Tensor) throws {
        if let lower = try matrix.cholesky() {
            let diagonal = try lower.diagonal().magnitude()
            let (least, most) = (try diagonal.min().scalar(), try diagonal.max().scalar())
            if least * least >= most * most * Self.floor {
                form = .lower(lower)
                return
            }
        }
        let (values, vectors) = try matrix.symmetricEigen()
        let most = try values.max().scalar()
        // A matrix without a positive eigenvalue weighs nothing; it is taken as the identity's multiple.
        let floor = most > 0 ? most * Self.floor : 1
        form = .eigen(
            vectors: vectors,
            roots: try values.clamped(floor...max(floor, most)).squareRoot())
    }

    /// L `[size, size]`.
    package func matrix() throws -> Tensor {
        switch form {
        case .lower(let lower): lower
        case .eigen(let vectors, let roots): try vectors * roots
        }
    }

    /// x·L for x `[rows, size]`.
    package func multiplying(_ x: Tensor) throws -> Tensor {
        try x.matmul(matrix())
    }

    /// x·L⁻¹ for x `[rows, size]`.
    package func solving(_ x: Tensor) throws -> Tensor {
        switch form {
        case .lower(let lower): try lower.solveTriangular(x, upper: false, onLeft: false)
        case .eigen(let vectors, let roots): try (x / roots).matmul(vectors.transposed())
        }
    }

    /// x·L⁻ᵀ for x `[rows, size]`.
    package func solvingTransposed(_ x: Tensor) throws -> Tensor {
        switch form {
        case .lower(let lower):
            try lower.transposed().solveTriangular(x, upper: true, onLeft: false)
        case .eigen(let vectors, let roots):
            try x.matmul(vectors) / roots
        }
    }
}
