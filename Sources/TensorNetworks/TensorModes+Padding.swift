import Tensors

extension TensorModes {
    /// Appends zeros to x `[tokens, columns]` up to the columns that the modes cover.
    func padded(_ x: Tensor) throws -> Tensor {
        let width = x.shape[1]
        return width == columns ? x : try x.padded([columns - width])
    }

    /// W `[rows, columns]` with zero rows and columns up to what the modes cover.
    func paddedMatrix(_ matrix: Tensor) throws -> Tensor {
        let shape = matrix.shape
        guard shape != [rows, columns] else { return matrix }
        return try matrix.padded([columns - shape[1], rows - shape[0]])
    }

    /// A symmetric moment with zero rows and columns appended up to `size`: padding weighs nothing.
    static func paddedMoment(_ moment: Tensor, to size: Int) throws -> Tensor {
        let width = moment.shape[0]
        return width == size ? moment : try moment.padded([size - width, size - width])
    }

    /// The first `rows` × `columns` of a matrix that the modes cover.
    func trimmed(_ matrix: Tensor, rows: Int, columns: Int) throws -> Tensor {
        var result = matrix
        if rows < self.rows { result = try result.narrowed(0, 0..<rows) }
        if columns < self.columns { result = try result.narrowed(1, 0..<columns) }
        return result
    }

    /// The first `rows` of y `[tokens, self.rows]`.
    func trimmed(_ y: Tensor, rows: Int) throws -> Tensor {
        rows < self.rows ? try y.narrowed(1, 0..<rows) : y
    }
}
