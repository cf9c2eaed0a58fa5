import Tensors

/// How much work a weighted fit may do.
package struct FitOptions: Codable, Sendable, Equatable {
    /// Most descent iterations; each costs about four products of the matrix with its moments.
    package var iterations = 100
    /// Mean relative improvement of the error per iteration below which a fit stops.
    package var tolerance = 1e-4

    package init(iterations: Int = 100, tolerance: Double = 1e-4) {
        self.iterations = iterations
        self.tolerance = tolerance
    }
}

extension Factorization {
    /// The network of `format` that minimises `objective`, float64, and its relative error.
    ///
    /// Low rank and pivoted low rank are the global optimum in closed form. Every other format descends
    /// from the better of two starts, the plain decomposition and the one of the target whitened mode by
    /// mode, so it is never worse than the plain decomposition of equal size. Same inputs, same result.
    package static func fit(
        _ objective: FitObjective, format: Format, options: FitOptions = FitOptions()
    ) throws -> (factorization: Factorization, relativeError: Double) {
        do {
            try format.validate(rows: objective.rows, columns: objective.columns)
        } catch {
            throw NetworkError.format(error)
        }
        let network = try withoutGradients {
            try fitted(objective, format: format, options: options)
        }
        return (network, try objective.relativeError(of: network.reconstructed()))
    }

    private static func fitted(
        _ objective: FitObjective, format: Format, options: FitOptions
    ) throws -> Factorization {
        switch format {
        case .dense:
            throw NetworkError.denseFormat
        case .lowRank(let rank):
            return .lowRank(try WeightedSpectrum(of: objective).lowRank(rank))
        case .pivotedLowRank(let rank):
            return .pivotedLowRank(try WeightedSpectrum(of: objective).lowRank(rank).pivoted())
        case .tucker, .tensorTrain, .tensorRing, .blockTerm:
            let term = try FitTerm(format, objective)
            let start = try better(
                [
                    decomposing(objective.target, format: format),
                    term.whitenedStart(objective.target),
                ], objective)
            return try JointFit(terms: [term], objective: objective)
                .improved([start], options)[0]
        case .pivoted(let inner):
            return try fitted(objective, format: inner, options: options).pivoted()
        case .mixture(let formats):
            return try fittedMixture(objective, formats, options)
        }
    }

    /// Terms one by one on the residual, then all together; low-rank terms are solved in closed form on
    /// what the others leave, before and after, and pivoted last.
    private static func fittedMixture(
        _ objective: FitObjective, _ formats: [Format], _ options: FitOptions
    ) throws -> Factorization {
        let open = formats.map(\.unpivoted)
        let few = FitOptions(iterations: min(15, options.iterations), tolerance: options.tolerance)
        var (rest, greedy): (Tensor, [Factorization]) = (objective.target, [])
        for format in open {
            let term = try fitted(objective.aiming(at: rest), format: format, options: few)
            greedy.append(term)
            rest = try rest - term.reconstructed()
        }
        let plain = try formats.isEmpty ? [] : plainTerms(objective.target, open)
        let sums = try [greedy, plain].map { try Factorization.mixture(Mixture(terms: $0)) }
        guard case .mixture(let start) = try better(sums, objective) else {
            preconditionFailure("a choice of two mixtures is a mixture")
        }
        let joint = try JointFit(
            terms: open.map { try FitTerm($0, objective) }, objective: objective)
        var terms = try joint.resolved(start.terms)
        terms = try joint.improved(terms, options)
        terms = try joint.resolved(terms)
        let pivoted = try zip(formats, terms).map { format, term in
            format == term.format ? term : try term.pivoted()
        }
        return .mixture(try Mixture(terms: pivoted))
    }

    private static func plainTerms(
        _ target: Tensor, _ formats: [Format]
    ) throws -> [Factorization] {
        guard case .mixture(let sum) = try decomposing(target, format: .mixture(formats)) else {
            preconditionFailure("a mixture decomposes into a mixture")
        }
        return sum.terms
    }

    /// The first of the networks with the least error.
    private static func better(
        _ candidates: [Factorization], _ objective: FitObjective
    ) throws -> Factorization {
        let errors = try candidates.map { try objective.relativeError(of: $0.reconstructed()) }
        let best = errors.indices.min { errors[$0] < errors[$1] } ?? 0
        return candidates[best]
    }
}

/// Networks whose sum approximates the target, improved together.
private struct JointFit {
    let terms: [FitTerm]
    let objective: FitObjective

    /// Largest matrix whose descent runs in float64, and least error that float32 resolves.
    private static let doublePrecisionCount = 1 << 17
    private static let singlePrecisionError = 1e-4

    /// Descends from `start` over all values of all terms; never ends above it.
    func improved(_ start: [Factorization], _ options: FitOptions) throws -> [Factorization] {
        let before = try error(start)
        guard objective.energy > 0, before > 1e-24, options.iterations > 0 else {
            return start
        }
        let isSmall = objective.rows * objective.columns <= Self.doublePrecisionCount
        let type: ElementType =
            isSmall || before < Self.singlePrecisionError ? .float64 : .float32
        let metric = try objective.metric.converted(to: type)
        let target = try objective.target.converted(to: type)
        let unknowns = try zip(terms, start).flatMap { term, network in
            try term.unknowns(network).map { try $0.converted(to: type) }
        }
        let descent = Descent(iterations: options.iterations, tolerance: options.tolerance)
        let found = try descent.minimize(from: unknowns) { values in
            let leaves = try values.map { try $0.detached().requiringGradient() }
            let estimate = try withGradients { try sum(networks(leaves)) }
            let error = try estimate.detached() - target
            let weighted = try metric.weighted(error)
            let value = try (weighted * error).sum().scalar() / objective.energy
            return (
                value,
                {
                    // dJ/dŴ = 2·G·E·Â, pulled back to the leaves through ⟨dJ/dŴ, Ŵ(leaves)⟩.
                    let factor = 2 / objective.energy
                    return try withGradients { try (weighted * estimate).sum() * factor }
                        .gradients(for: leaves)
                }
            )
        }
        let result = try networks(found.unknowns.map { try $0.converted(to: .float64) })
            .map { try $0.mapTensors { try $0.detached().contiguous() } }
        return try error(result) < before ? result : start
    }

    /// Every low-rank term solved in closed form on what the others leave, where that lowers the error.
    func resolved(_ start: [Factorization]) throws -> [Factorization] {
        var networks = start
        for (index, network) in start.enumerated() {
            guard case .lowRank(let low) = network else { continue }
            var rest = objective.target
            for (other, term) in networks.enumerated() where other != index {
                rest = try rest - term.reconstructed()
            }
            var candidate = networks
            candidate[index] = .lowRank(
                try WeightedSpectrum(of: objective.aiming(at: rest)).lowRank(low.rank))
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

    private func networks(_ unknowns: [Tensor]) throws -> [Factorization] {
        var offset = 0
        return try terms.map { term in
            let count = term.partCount
            defer { offset += count }
            return try term.network(Array(unknowns[offset..<offset + count]))
        }
    }
}
