import Tensors

/// A matrix of rank k that keeps k of its own rows and writes the others as combinations of them
/// (PIFA, arXiv 2501.19090): k(m + n) − k² values where `LowRank` takes k(m + n).
package struct PivotedLowRank: Network {
    /// The kept rows, `[rank, columns]`.
    package let basis: Tensor
    /// The other rows, in ascending order, = coefficients · basis; `[rows − rank, rank]`.
    package let coefficients: Tensor
    /// Row number of each row of `basis`, int32 `[rank]`: distinct, in any order.
    package let pivots: Tensor
    package let rows: Int
    package let columns: Int
    package let rank: Int

    private let order: RowOrder

    package init(basis: Tensor, coefficients: Tensor, pivots: Tensor) throws {
        let rank = basis.shape.first ?? 0
        let rows = rank + (coefficients.shape.first ?? 0)
        let columns = basis.shape.last ?? 0
        try Self.validate(
            [("basis", basis), ("coefficients", coefficients), ("pivots", pivots)],
            as: .pivotedLowRank(rank: rank), rows: rows, columns: columns)
        self.basis = basis
        self.coefficients = coefficients
        self.pivots = pivots
        self.rank = rank
        self.rows = rows
        self.columns = columns
        order = try RowOrder(kept: pivots, rows: rows)
        try validateParts()
    }

    package var format: Format { .pivotedLowRank(rank: rank) }
    package var parts: [NamedTensor] {
        [("basis", basis), ("coefficients", coefficients), ("pivots", pivots)]
    }

    func applied(to x: Tensor) throws -> Tensor {
        let kept = try x.linear(basis)
        let others = try kept.linear(coefficients)
        return try order.joined(kept, others, along: 1)
    }

    func reconstructed() throws -> Tensor {
        try order.joined(basis, coefficients.matmul(basis), along: 0)
    }

    /// The same matrix as a pair, k² values larger: the kept rows are rows of an identity of its output factor.
    package func lowRank() throws -> LowRank {
        let identity = try Tensor.identity(rank, basis.elementType, on: basis.device)
        return try LowRank(
            output: order.joined(identity, coefficients, along: 0), input: basis)
    }
}
