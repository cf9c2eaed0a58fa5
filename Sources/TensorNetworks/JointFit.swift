import Tensors

/// Networks whose sum approximates the target, improved together.
struct JointFit {
    let terms: [FitTerm]
    let objective: FitObjective

    /// Largest matrix whose descent runs in float64, and least error that float32 resolves.
    private static let doublePrecisionCount = 1 << 17
    private static let singlePrecisionError = 1e-4

    /// Descends from `start` over the values of all terms but the first low-rank one, which is always the
    /// best for the others; never ends above it.
    func improved(_ start: [Factorization], _ options: FitOptions) throws -> [Factorization] {
        let before = try error(start)
        let eliminated = terms.count > 1 ? terms.firstIndex { $0.format.kind == .lowRank } : nil
        let free = terms.indices.filter { $0 != eliminated }
        guard objective.energy > 0, before > 1e-24, options.iterations > 0 else {
            return start
        }
        let isSmall = objective.rows * objective.columns <= Self.doublePrecisionCount
        let type: ElementType =
            isSmall || before < Self.singlePrecisionError ? .float64 : .float32
        let target = try objective.target.converted(to: type)
        let residual = try residual(eliminated.map { terms[$0].format }, type)
        let unknowns = try free.flatMap { index in
            try terms[index].unknowns(start[index]).map { try $0.converted(to: type) }
        }
        let descent = Descent(iterations: options.iterations, tolerance: options.tolerance)
        let found = try descent.minimize(from: unknowns) { values in
            let leaves = try values.map { try $0.detached().requiringGradient() }
            let estimate = try withGradients { try sum(networks(free, leaves)) }
            let (value, slope) = try residual(target - estimate.detached())
            return (
                value / objective.energy,
                {
                    // dJ/dŴ pulled back to the leaves through ⟨dJ/dŴ, Ŵ(leaves)⟩.
                    let slope = try slope()
                    return try withGradients {
                        try (slope * estimate).sum() * (-1 / objective.energy)
                    }.gradients(for: leaves)
                }
            )
        }
        var result = try networks(free, found.unknowns.map { try $0.converted(to: .float64) })
            .map { try $0.mapTensors { try $0.detached().contiguous() } }
        if let eliminated {
            result.insert(try best(eliminated, besides: result), at: eliminated)
        }
        return try error(result) < before ? result : start
    }

    /// J, and its gradient, of what the free terms leave of the target.
    private func residual(
        _ eliminated: Format?, _ type: ElementType
    ) throws -> (Tensor) throws -> (value: Double, slope: () throws -> Tensor) {
        if case .lowRank(let rank)? = eliminated {
            let elimination = try LowRankElimination(rank: rank, of: objective, as: type)
            return { try elimination.residual(of: $0) }
        }
        let metric = try objective.metric.converted(to: type)
        return { rest in
            let weighted = try metric.weighted(rest)
            return (try (weighted * rest).sum().scalar(), { try weighted * 2 })
        }
    }

    /// The best values of a low-rank term for those of the others.
    private func best(_ index: Int, besides others: [Factorization]) throws -> Factorization {
        guard case .lowRank(let rank) = terms[index].format else {
            preconditionFailure("only a low-rank term has a closed form")
        }
        let rest = try others.reduce(objective.target) { try $0 - $1.reconstructed() }
        return .lowRank(try WeightedSpectrum(of: objective.aiming(at: rest)).lowRank(rank))
    }

    /// Every low-rank term solved in closed form on what the others leave, where that lowers the error.
    func resolved(_ start: [Factorization]) throws -> [Factorization] {
        var networks = start
        for (index, network) in start.enumerated() {
            guard case .lowRank = network else { continue }
            var (candidate, others) = (networks, networks)
            others.remove(at: index)
            candidate[index] = try best(index, besides: others)
            if try error(candidate) < error(networks) { networks = candidate }
        }
        return networks
    }

    private func error(_ networks: [Factorization]) throws -> Double {
        try objective.relativeError(of: sum(networks))
    }

    private func sum(_ networks: [Factorization]) throws -> Tensor {
        let first = try networks[0].reconstructed()
        return try networks.dropFirst().reduce(first) { try $0 + $1.reconstructed() }
    }

    private func networks(_ free: [Int], _ unknowns: [Tensor]) throws -> [Factorization] {
        var offset = 0
        return try free.map { index in
            let count = terms[index].partCount
            defer { offset += count }
            return try terms[index].network(Array(unknowns[offset..<offset + count]))
        }
    }
}
