import Tensors

// Column-pivoted QR of Ŵᵀ without forming Ŵ: with the input factor's QR, input = Rᵀ·Qᵀ, row i of Ŵ has the
// norm and the inner products of row i of X = output·Rᵀ `[rows, rank]`, so pivoting X pivots Ŵ.

extension LowRank {
    /// The same matrix, to rounding, with k = rank of its rows kept: k² values fewer.
    ///
    /// Rows are kept greedily, the one furthest from the span of those already kept first, so that the
    /// coefficients stay small; ties go to the first row. A matrix of lower rank than `rank` works too.
    package func pivoted() throws -> PivotedLowRank {
        let type = output.elementType
        let (out64, in64) = (
            try output.converted(to: .float64), try input.converted(to: .float64)
        )
        let (q, r) = try in64.transposed().qr()
        let rowsInBasis = try out64.matmul(r.transposed())
        let choice = try PivotedRows(of: rowsInBasis, count: rank)
        let basis = try choice.kept(of: rowsInBasis).matmul(q.transposed())
        return try PivotedLowRank(
            basis: basis.converted(to: type).contiguous(),
            coefficients: choice.coefficients.converted(to: type), pivots: choice.numbers())
    }
}
