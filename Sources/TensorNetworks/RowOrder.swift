import Tensors

/// Where the rows of a matrix went that was split into rows that are kept and the others.
struct RowOrder {
    /// Position of each row among (kept rows, other rows), int32 `[rows]`.
    private let positions: Tensor

    /// - Parameter pivots: numbers of the kept rows, int32: distinct, in any order.
    init(kept pivots: Tensor, rows: Int) throws {
        var positions = [Int32](repeating: -1, count: rows)
        let numbers = try pivots.elements(as: Int32.self)
        for (position, row) in numbers.enumerated() {
            guard positions.indices.contains(Int(row)) else {
                throw NetworkError.pivot(Int(row), rows: rows)
            }
            guard positions[Int(row)] < 0 else { throw NetworkError.repeatedPivot(Int(row)) }
            positions[Int(row)] = Int32(position)
        }
        var next = Int32(numbers.count)
        for row in positions.indices where positions[row] < 0 {
            positions[row] = next
            next += 1
        }
        self.positions = try Tensor(positions, on: pivots.device)
    }

    /// All rows in their order, from the kept ones as `pivots` names them and the others, ascending; the
    /// rows lie along `dimension`.
    func joined(
        _ kept: Tensor, _ others: Tensor, along dimension: Int
    ) throws(TensorError) -> Tensor {
        try Tensor.concatenated([kept, others], along: dimension)
            .selecting(positions, along: dimension)
    }
}
