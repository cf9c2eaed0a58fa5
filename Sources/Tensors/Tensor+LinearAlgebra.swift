import CTorch

// All of these take float32 or float64, and batches in the leading dimensions.
extension Tensor {
    /// Thin singular value decomposition A = u · diag(s) · vt, s descending.
    /// - Returns: u `[rows, k]`, s `[k]`, vt `[k, columns]`, k = min(rows, columns).
    package func svd() throws(TensorError) -> (u: Tensor, s: Tensor, vt: Tensor) {
        let parts = try TorchCall.make("svd", [self], count: 3) {
            ct_svd($0[0], $1, $1 + 1, $1 + 2)
        }
        return (parts[0], parts[1], parts[2])
    }

    /// Singular values, descending.
    package func singularValues() throws(TensorError) -> Tensor {
        try TorchCall.make("singularValues", [self]) { ct_svdvals($0[0], $1) }
    }

    /// Thin A = q · r, q with orthonormal columns, r upper triangular.
    package func qr() throws(TensorError) -> (q: Tensor, r: Tensor) {
        let parts = try TorchCall.make("qr", [self], count: 2) { ct_qr($0[0], $1, $1 + 1) }
        return (parts[0], parts[1])
    }

    /// Eigenvalues, ascending, and eigenvectors (columns) of a symmetric matrix.
    package func symmetricEigen() throws(TensorError) -> (values: Tensor, vectors: Tensor) {
        let parts = try TorchCall.make("symmetricEigen", [self], count: 2) {
            ct_eigh($0[0], $1, $1 + 1)
        }
        return (parts[0], parts[1])
    }

    /// Eigenvalues of a symmetric matrix, ascending; several times cheaper than with the vectors.
    package func symmetricEigenvalues() throws(TensorError) -> Tensor {
        try TorchCall.make("symmetricEigenvalues", [self]) { ct_eigvalsh($0[0], $1) }
    }

    /// Lower L with L·Lᵀ = A, or `nil` where A is not positive definite to rounding.
    package func cholesky() throws(TensorError) -> Tensor? {
        var failingMinor: Int32 = 0
        let lower = try TorchCall.make("cholesky", [self]) { ct_cholesky($0[0], $1, &failingMinor) }
        return failingMinor == 0 ? lower : nil
    }

    /// x with A·x = `right`.
    package func solve(_ right: Tensor) throws(TensorError) -> Tensor {
        try TorchCall.make("solve", [self, right]) { ct_solve($0[0], $0[1], $1) }
    }

    /// x with A·x = `right`, or x·A = `right` where not `onLeft`, for triangular A.
    package func solveTriangular(
        _ right: Tensor, upper: Bool, onLeft: Bool = true
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("solveTriangular", [self, right]) {
            ct_solve_triangular($0[0], $0[1], upper, onLeft, $1)
        }
    }

    /// x that minimises ‖A·x − `right`‖, of least norm where A lacks rank.
    package func leastSquares(_ right: Tensor) throws(TensorError) -> Tensor {
        try TorchCall.make("leastSquares", [self, right]) { ct_lstsq($0[0], $0[1], $1) }
    }
}
