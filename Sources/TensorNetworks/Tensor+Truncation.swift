import Tensors

extension Tensor {
    /// The best approximation of this matrix of rank `rank` as basis · rest, with orthonormal columns
    /// in `basis`.
    ///
    /// Above a small size through the Gram matrix of the smaller side, which is several times faster
    /// than the SVD; singular values below √roundoff of the largest are then noise, which changes the
    /// approximation by less than that share of its norm.
    func truncated(_ rank: Int) throws -> (basis: Tensor, rest: Tensor) {
        let shape = shape
        let (rows, columns) = (shape[0], shape[1])
        let least = Swift.min(rows, columns)
        guard least > Self.smallSide else {
            let (u, s, vt) = try svd()
            return (
                try u.narrowed(1, 0..<rank),
                try vt.narrowed(0, 0..<rank) * s.narrowed(0, 0..<rank).unsqueezed(1)
            )
        }
        let isWide = rows <= columns
        let gram = try isWide ? matmul(transposed()) : transposed().matmul(self)
        let vectors = try gram.symmetricEigen().vectors
            .narrowed(1, least - rank..<least).flipped(1)
        guard !isWide else { return (vectors, try vectors.transposed().matmul(self)) }
        let (q, r) = try matmul(vectors).qr()
        return (q, try r.matmul(vectors.transposed()))
    }

    /// Smaller side up to which the SVD itself is fast enough.
    private static let smallSide = 96

    /// Splits basis · rest so that both sides carry the square root of the singular values; `self` is
    /// the basis.
    func balancing(_ rest: Tensor) throws -> (left: Tensor, right: Tensor) {
        let pair = try LowRank(output: self, input: rest).balanced()
        return (pair.output, pair.input)
    }
}
