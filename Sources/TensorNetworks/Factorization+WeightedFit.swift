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

    /// Terms one by one on the residual, then all together, a low-rank one always in closed form on what
    /// the others leave; pivoted last.
    private static func fittedMixture(
        _ objective: FitObjective, _ formats: [Format], _ options: FitOptions
    ) throws -> Factorization {
        let open = formats.map(\.unpivoted)
        // Where a low-rank term is there to make good what a term misses, a start is all that is wanted.
        let isLed = open.contains { $0.kind == .lowRank }
        let few = FitOptions(
            iterations: isLed ? 0 : min(15, options.iterations), tolerance: options.tolerance)
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
