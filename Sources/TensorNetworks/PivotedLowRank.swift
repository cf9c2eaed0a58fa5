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

    /// Position of each row of W among (kept rows, other rows), int32 `[rows]`.
    private let positions: Tensor

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
        positions = try Self.positions(of: pivots, rows: rows)
        try validateParts()
    }

    private static func positions(of pivots: Tensor, rows: Int) throws -> Tensor {
        var positions = [Int32](repeating: -1, count: rows)
        let rowNumbers = try pivots.elements(as: Int32.self)
        for (position, row) in rowNumbers.enumerated() {
            guard positions.indices.contains(Int(row)) else {
                throw NetworkError.pivot(Int(row), rows: rows)
            }
            guard positions[Int(row)] < 0 else { throw NetworkError.repeatedPivot(Int(row)) }
            positions[Int(row)] = Int32(position)
        }
        var next = Int32(rowNumbers.count)
        for row in positions.indices where positions[row] < 0 {
            positions[row] = next
            next += 1
        }
        return try Tensor(positions, on: pivots.device)
    }

    package var format: Format { .pivotedLowRank(rank: rank) }
    package var parts: [NamedTensor] {
        [("basis", basis), ("coefficients", coefficients), ("pivots", pivots)]
    }

    func applied(to x: Tensor) throws -> Tensor {
        let kept = try x.linear(basis)
        let others = try kept.linear(coefficients)
        return try Tensor.concatenated([kept, others], along: 1).selecting(positions, along: 1)
    }

    func reconstructed() throws -> Tensor {
        try Tensor.concatenated([basis, coefficients.matmul(basis)], along: 0)
            .selecting(positions, along: 0)
    }
}
