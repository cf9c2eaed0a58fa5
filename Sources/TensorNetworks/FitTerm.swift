import Tensors

/// One network of a fit with its values in whitened coordinates: core' = core with every mode axis
/// multiplied by its factor of `ModeWhitening`.
struct FitTerm {
    let format: Format
    let rows: Int
    let columns: Int
    private let modes: TensorModes
    private let whitening: ModeWhitening
    /// Per part, the axes that carry modes.
    private let axes: [[(axis: Int, mode: Int)]]
    private let names: [String]

    /// - Parameter format: neither a mixture nor pivoted.
    init(_ format: Format, _ objective: FitObjective) throws {
        let (rows, columns) = (objective.rows, objective.columns)
        self.format = format
        self.rows = rows
        self.columns = columns
        names = try format.parts(rows: rows, columns: columns).map(\.name)
        switch format {
        case .lowRank:
            // One mode on either side: whitening by the moments themselves.
            modes = TensorModes(output: [rows], input: [columns])
            axes = [[(0, 0)], [(1, 1)]]
        case .tucker(let modes, _):
            self.modes = modes
            axes = Self.tuckerAxes(modes)
        case .blockTerm(let modes, _, let terms):
            self.modes = modes
            axes = (0..<terms).flatMap { _ in Self.tuckerAxes(modes) }
        case .tensorTrain(let modes, _), .tensorRing(let modes, _):
            self.modes = modes
            let count = modes.output.count
            axes = (0..<count).map { [(1, $0), (2, count + $0)] }
        case .dense, .pivotedLowRank, .pivoted, .mixture:
            preconditionFailure("\(format.kind) is not fitted as one network of modes")
        }
        whitening = try ModeWhitening(objective.metric, modes: modes, rows: rows)
    }

    private static func tuckerAxes(_ modes: TensorModes) -> [[(axis: Int, mode: Int)]] {
        [[]] + (0..<modes.output.count + modes.input.count).map { [(0, $0)] }
    }

    var partCount: Int { names.count }

    /// The network whose whitened parts are `parts`, recorded for gradients where they are.
    func network(_ parts: [Tensor]) throws -> Factorization {
        var restored: [String: Tensor] = [:]
        for ((name, axes), part) in zip(zip(names, axes), parts) {
            restored[name] = try axes.reduce(part) {
                try whitening.restored($0, axis: $1.axis, mode: $1.mode)
            }
        }
        return try Factorization(format: format, rows: rows, columns: columns) { name in
            guard let tensor = restored[name] else {
                preconditionFailure("no unknown makes up \(name)")
            }
            return tensor
        }
    }

    /// The whitened parts of a network of this format.
    func unknowns(_ network: Factorization) throws -> [Tensor] {
        try zip(network.parts, axes).map { part, axes in
            try axes.reduce(part.tensor) {
                try whitening.whitened($0, axis: $1.axis, mode: $1.mode)
            }
        }
    }

    /// The plain decomposition of the whitened target: near the weighted optimum where the moments are
    /// near Kronecker products over the modes.
    func whitenedStart(_ target: Tensor) throws -> Factorization {
        let whitened = try whitening.whitened(target, modes: modes)
        let plain = try Factorization.decomposing(whitened, format: format)
        return try network(plain.parts.map(\.tensor))
    }
}
