import Tensors

// GPTQ (Frantar et al. 2022, arXiv 2210.17323): columns are rounded one after the other, and what each loses is made
// good, as far as the inputs' moment H tells, by those that are not rounded yet. With H⁻¹ = UᵀU, U upper triangular,
// the columns behind j change by −e·U[j, j+1…], e = (w_j − q_j) / U[j, j].

extension QuantizedMatrix {
    /// Rounds such that tr((W − Q)·H·(W − Q)ᵀ) is small; no row is worse than rounded to nearest.
    /// - Parameters:
    ///   - matrix: W `[rows, columns]`, finite.
    ///   - type: int8 or float8e4m3.
    ///   - moment: H `[columns, columns]`, float64, of what the matrix is multiplied with.
    package init(quantizing matrix: Tensor, as type: ElementType, moment: Tensor) throws {
        let w = try matrix.detached().converted(to: .float64)
        precondition(
            moment.shape == [w.shape[1], w.shape[1]], "the moment is that of the matrix' columns")
        let grid = try QuantizationGrid(of: w, as: type)
        let nearest = try grid.rounded(w)
        guard let factor = try Self.inverseFactor(moment) else {
            self = try grid.matrix(nearest)
            return
        }
        let compensated = try Self.compensated(w, grid, factor)
        func errors(_ values: Tensor) throws -> Tensor {
            let error = try values - w
            return try (error.matmul(moment) * error).sum(1, keeping: true)
        }
        let isBetter = try errors(compensated).less(errors(nearest))
        self = try grid.matrix(isBetter.choosing(compensated, else: nearest))
    }

    /// Share of H's mean diagonal that is added to its diagonal, as the paper does.
    private static let damping = 0.01
    /// Columns whose errors go to those far behind together.
    private static let blockColumns = 128

    /// U; `nil` where H weighs nothing.
    private static func inverseFactor(_ moment: Tensor) throws -> Tensor? {
        let size = moment.shape[0]
        let mean = try moment.diagonal().mean().scalar()
        guard mean > 0, mean.isFinite else { return nil }
        let damped = try moment.copied()
        try damped.diagonal().accumulate(
            Tensor.full([], mean * damping, .float64, on: moment.device))
        // From the last row up: H = R·Rᵀ with R upper triangular, and U = R⁻¹.
        guard let lower = try damped.flipped(0).flipped(1).cholesky() else { return nil }
        return try lower.flipped(0).flipped(1).solveTriangular(
            Tensor.identity(size, .float64, on: moment.device), upper: true)
    }

    private static func compensated(
        _ w: Tensor, _ grid: QuantizationGrid, _ factor: Tensor
    ) throws -> Tensor {
        let (rows, columns) = (w.shape[0], w.shape[1])
        let diagonal = try factor.diagonal().elements(as: Double.self)
        let rest = try w.copied()
        let result = try Tensor.zeros([rows, columns], .float64, on: w.device)
        for start in stride(from: 0, to: columns, by: blockColumns) {
            let end = min(start + blockColumns, columns)
            let errors = try Tensor.zeros([rows, end - start], .float64, on: w.device)
            for column in start..<end {
                let values = try rest.narrowed(1, column..<column + 1)
                let rounded = try grid.rounded(values)
                let error = try (values - rounded) / diagonal[column]
                try result.narrowed(1, column..<column + 1).assign(rounded)
                try errors.narrowed(1, column - start..<column - start + 1).assign(error)
                guard column + 1 < end else { continue }
                let weights = try factor.narrowed(0, column..<column + 1)
                    .narrowed(1, column + 1..<end)
                try rest.narrowed(1, column + 1..<end).accumulate(error * weights, times: -1)
            }
            guard end < columns else { continue }
            let weights = try factor.narrowed(0, start..<end).narrowed(1, end..<columns)
            try rest.narrowed(1, end..<columns).accumulate(errors.matmul(weights), times: -1)
        }
        return result
    }
}
