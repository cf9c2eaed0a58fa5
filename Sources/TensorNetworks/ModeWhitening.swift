import Tensors

/// Whitening that commutes with the split into modes: A ≈ A₁⊗A₂⊗… and G ≈ G₁⊗G₂⊗…, each factored alone.
///
/// Multiplying every mode by its factor turns the weighted norm into nearly the plain one and keeps
/// modes and ranks, which whitening by L itself does not. So a decomposition of the whitened tensor is
/// a good start for the weighted fit, and the whitened cores are well-scaled unknowns for it.
struct ModeWhitening {
    /// Output modes first.
    private let factors: [WhiteningFactor]
    private let inverses: [Tensor]

    init(_ metric: WeightedMetric, modes: TensorModes, rows: Int) throws {
        let outputs = try metric.output.map {
            try Self.marginals($0, modes.output, size: modes.rows)
        }
        let device = metric.input.device
        let moments =
            try
            (outputs
            ?? modes.output.map {
                try Tensor.identity($0, .float64, on: device)
            }) + Self.marginals(metric.input, modes.input, size: modes.columns)
        factors = try moments.map { try WhiteningFactor(of: $0) }
        inverses = try zip(factors, moments).map { factor, moment in
            try factor.solving(
                Tensor.identity(moment.shape[0], .float64, on: moment.device))
        }
    }

    /// Partial traces: A_k sums A over the diagonal of all other modes. They are positive where A is;
    /// a share of the identity keeps modes that are mostly padding apart from zero.
    private static func marginals(
        _ moment: Tensor, _ modes: [Int], size: Int
    ) throws -> [Tensor] {
        let padded = try TensorModes.paddedMoment(moment, to: size)
        return try modes.indices.map { mode in
            let before = modes[..<mode].reduce(1, *)
            let after = modes[(mode + 1)...].reduce(1, *)
            let split = try padded.reshaped([
                before, modes[mode], after, before, modes[mode], after,
            ])
            let partial = try split.permuted([1, 4, 0, 3, 2, 5]).diagonal().sum(-1)
                .diagonal().sum(-1)
            let mean = try partial.diagonal().mean().scalar()
            let identity = try Tensor.identity(modes[mode], .float64, on: moment.device)
            guard mean > 0 else { return identity }
            return try partial / mean + identity * 1e-3
        }
    }

    /// The matrix `[rows, columns]`, padded, with every mode multiplied by its factor.
    func whitened(_ matrix: Tensor, modes: TensorModes) throws -> Tensor {
        var tensor = try modes.paddedMatrix(matrix).reshaped(modes.output + modes.input)
        for (axis, factor) in factors.enumerated() {
            tensor = try tensor.contracted(axis: axis, with: factor.matrix())
        }
        return try tensor.reshaped([modes.rows, modes.columns])
    }

    /// Undoes the whitening of one axis of a core.
    func restored(_ core: Tensor, axis: Int, mode: Int) throws -> Tensor {
        try core.contracted(axis: axis, with: inverses[mode].converted(to: core.elementType))
    }

    /// Whitens one axis of a core.
    func whitened(_ core: Tensor, axis: Int, mode: Int) throws -> Tensor {
        try core.contracted(
            axis: axis, with: factors[mode].matrix().converted(to: core.elementType))
    }
}
