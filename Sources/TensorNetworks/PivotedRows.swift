import Tensors

// Gram–Schmidt with one re-orthogonalisation ("twice is enough"), left-looking: a step costs one product
// of X with the new direction, rank·rows, against twice that and a write for an updated residual.

/// Rows of X `[rows, rank]`, float64, chosen greedily, the one furthest from the span of those already
/// chosen first, and the others in terms of them.
struct PivotedRows {
    /// Numbers of the chosen rows, ascending.
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
        let order = pivots.indices.sorted { pivots[$0] < pivots[$1] }
        self.pivots = order.map { pivots[$0] }
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
        let all = found == count ? solved : try solved.padded([count - found])
        coefficients = try all.selecting(Tensor(order, on: device), along: 1).contiguous()
    }

    /// The chosen rows of a matrix.
    func kept(of matrix: Tensor) throws -> Tensor {
        try matrix.selecting(Tensor(pivots, on: matrix.device), along: 0)
    }

    /// The row numbers as networks store them, int32 `[count]`.
    func numbers() throws -> Tensor {
        try Tensor(pivots.map { Int32($0) }, on: coefficients.device)
    }

    private static func exclude(_ pivots: [Int], in norms: Tensor) throws {
        for pivot in pivots { try norms.narrowed(0, pivot..<pivot + 1).fill(-1) }
    }
}
