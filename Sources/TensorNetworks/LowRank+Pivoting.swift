import Tensors

// Column-pivoted QR of Ŵᵀ without forming Ŵ: with the input factor's QR, input = Rᵀ·Qᵀ, row i of Ŵ has the
// norm and the inner products of row i of X = output·Rᵀ `[rows, rank]`, so pivoting X pivots Ŵ.
//
// Gram–Schmidt with one re-orthogonalisation ("twice is enough"), left-looking: a step costs one product
// of X with the new direction, rank·rows, against twice that and a write for an updated residual.

extension LowRank {
    /// The same matrix, to rounding, with k = rank of its rows kept: k² values fewer.
    ///
    /// Rows are kept greedily, the one furthest from the span of those already kept first, so that the
    /// coefficients stay small; ties go to the first row. A matrix of lower rank than `rank` works too.
    package func pivoted() throws -> PivotedLowRank {
        let device = output.device
        let type = output.elementType
        let (out64, in64) = (
            try output.converted(to: .float64), try input.converted(to: .float64)
        )
        let (q, r) = try in64.transposed().qr()
        let rowsInBasis = try out64.matmul(r.transposed())
        let choice = try PivotedRows(of: rowsInBasis, count: rank)
        let order = choice.pivots.indices.sorted { choice.pivots[$0] < choice.pivots[$1] }
        let pivots = order.map { choice.pivots[$0] }
        let columnsInOrder = try Tensor(order, on: device)
        let basis = try rowsInBasis.selecting(Tensor(pivots, on: device), along: 0)
            .matmul(q.transposed())
        return try PivotedLowRank(
            basis: basis.converted(to: type).contiguous(),
            coefficients: choice.coefficients.selecting(columnsInOrder, along: 1)
                .converted(to: type).contiguous(),
            pivots: Tensor(pivots.map { Int32($0) }, on: device))
    }
}

/// Rows of X `[rows, rank]` chosen greedily, and the others in terms of them.
private struct PivotedRows {
    /// Row numbers, in the order of their choice.
    let pivots: [Int]
    /// `[rows − count, count]`: the other rows, ascending, = coefficients · pivot rows.
    let coefficients: Tensor

    /// Steps after which the squared norms, which each step only downdates, are computed afresh.
    private static let refreshInterval = 32
    /// Norm of a residual, relative to the largest row, that is rounding noise and no direction.
    private static let noise = 1e-14

    init(of x: Tensor, count: Int) throws {
        let (rows, rank, device) = (x.shape[0], x.shape[1], x.device)
        let directions = try Tensor.zeros([count, rank], .float64, on: device)
        // Column j is X·directions[j]: the lower trapezoid L of Xᵀ's pivoted QR.
        let products = try Tensor.zeros([count, rows], .float64, on: device)
        let rowNorms = try x.squared().sum(1)
        let norms = try rowNorms.copied()
        let threshold = (try norms.max().scalar()) * Self.noise * Self.noise
        var pivots: [Int] = []
        while pivots.count < count {
            let step = pivots.count
            if step > 0, step % Self.refreshInterval == 0 {
                let known = try directions.narrowed(0, 0..<step)
                let residual = try x - products.narrowed(0, 0..<step).transposed().matmul(known)
                try norms.assign(residual.squared().sum(1))
                try Self.exclude(pivots, in: norms)
            }
            let pivot = Int(try norms.argmax().scalar())
            var direction = try x.narrowed(0, pivot..<pivot + 1)
            if step > 0 {
                let known = try directions.narrowed(0, 0..<step)
                for _ in 0..<2 {
                    direction =
                        try direction
                        - direction.matmul(known.transposed()).matmul(known)
                }
            }
            let length = try direction.norm().scalar()
            guard length * length > threshold else { break }
            direction = try direction / length
            let product = try direction.matmul(x.transposed())
            try directions.narrowed(0, step..<step + 1).assign(direction)
            try products.narrowed(0, step..<step + 1).assign(product)
            try norms.accumulate(product.squared().reshaped([rows]), times: -1)
            pivots.append(pivot)
            try Self.exclude([pivot], in: norms)
        }
        let found = pivots.count
        // Rows of lower rank than asked for: any further rows will do, with zero coefficients.
        var taken = Set(pivots)
        for row in 0..<rows where pivots.count < count && taken.insert(row).inserted {
            pivots.append(row)
        }
        self.pivots = pivots
        let others = (0..<rows).filter { !taken.contains($0) }
        guard !others.isEmpty, found > 0 else {
            coefficients = try Tensor.zeros([others.count, count], .float64, on: device)
            return
        }
        let lower = try products.narrowed(0, 0..<found).transposed()
        let top = try lower.selecting(Tensor(Array(pivots[..<found]), on: device), along: 0)
            .lowerTriangle()
        let solved = try top.solveTriangular(
            lower.selecting(Tensor(others, on: device), along: 0), upper: false, onLeft: false)
        coefficients = found == count ? solved : try solved.padded([count - found])
    }

    private static func exclude(_ pivots: [Int], in norms: Tensor) throws {
        for pivot in pivots { try norms.narrowed(0, pivot..<pivot + 1).fill(-1) }
    }
}
