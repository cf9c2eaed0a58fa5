import Tensors

/// W reshaped to `[output modes…, input modes…]` = core ×₁ factor₁ ×₂ factor₂ ….
package struct Tucker: Network {
    package let modes: TensorModes
    package let rows: Int
    package let columns: Int
    /// `[ranks…]`, those of the output modes first.
    package let core: Tensor
    /// Factor j is `[mode, rank]`, output modes first.
    package let factors: [Tensor]
    package let ranks: [Int]

    package init(
        modes: TensorModes, rows: Int, columns: Int, core: Tensor, factors: [Tensor]
    ) throws(NetworkError) {
        self.modes = modes
        self.rows = rows
        self.columns = columns
        self.core = core
        self.factors = factors
        ranks = core.shape
        try validateParts()
    }

    package var format: Format { .tucker(modes, ranks: ranks) }
    package var parts: [NamedTensor] {
        [("core", core)] + factors.enumerated().map { ("factor.\($0)", $1) }
    }

    // Contracting the mode in front and appending its rank behind leaves the ranks in order once
    // every mode has had its turn.
    private static func rotated(
        _ x: Tensor, through matrices: [Tensor], transposing: Bool
    ) throws -> Tensor {
        let tokens = x.shape[0]
        var state = x
        for matrix in matrices {
            let shape = matrix.shape
            let (from, to) = transposing ? (shape[1], shape[0]) : (shape[0], shape[1])
            let rest = state.shape[1] / from
            let front = try state.reshaped([tokens, from, rest]).transposed(1, 2)
            let mapped = transposing ? try front.linear(matrix) : try front.matmul(matrix)
            state = try mapped.reshaped([tokens, rest * to])
        }
        return state
    }

    func applied(to x: Tensor) throws -> Tensor {
        let order = modes.output.count
        let inner = try Self.rotated(
            modes.padded(x), through: Array(factors[order...]), transposing: false)
        let matrix = try core.reshaped([
            ranks.prefix(order).reduce(1, *), ranks.dropFirst(order).reduce(1, *),
        ])
        let y = try Self.rotated(
            inner.linear(matrix), through: Array(factors[..<order]), transposing: true)
        return try modes.trimmed(y, rows: rows)
    }

    func reconstructed() throws -> Tensor {
        let flat = try core.reshaped([1, core.count])
        let dense = try Self.rotated(flat, through: factors, transposing: true)
            .reshaped([modes.rows, modes.columns])
        return try modes.trimmed(dense, rows: rows, columns: columns)
    }
}
