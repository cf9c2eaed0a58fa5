import Artifacts
import TensorNetworks

/// One step from a uniform low rank to the whole method. The steps are data: reorder them, or add one, here.
package struct AblationStep: Sendable {
    /// As in `--methods ablation-NAME`.
    package let name: String
    package let summary: String
    let allocation: Allocation
    let fit: FitSettings

    /// How the budget is spent.
    enum Allocation: Sendable {
        case uniform(Format.Kind)
        /// By the sensitivity map, over those of its candidates that are allowed.
        case planned(Candidates)
    }

    /// Candidates of a sensitivity map. A matrix may always stay dense.
    enum Candidates: Sendable {
        /// Low rank only; what the map prices as pivoted low rank is taken without the pivoting.
        case lowRank
        case pivotedLowRank
        /// Every format of the map.
        case all
    }

    package static let all: [AblationStep] = [
        AblationStep(
            name: "uniform", summary: "low rank, uniform, input moments",
            allocation: .uniform(.lowRank), fit: .unanchored(.full)),
        AblationStep(
            name: "sensitivity", summary: "+ ranks planned by sensitivity",
            allocation: .planned(.lowRank), fit: .unanchored(.full)),
        AblationStep(
            name: "pivoted", summary: "+ pivoting",
            allocation: .planned(.pivotedLowRank), fit: .unanchored(.full)),
        AblationStep(
            name: "mixed-formats", summary: "+ every format of the map",
            allocation: .planned(.all), fit: .unanchored(.full)),
        AblationStep(
            name: "two-sided", summary: "+ output moments",
            allocation: .planned(.all), fit: .unanchored(.full, isTwoSided: true)),
        AblationStep(
            name: "anchored", summary: "+ anchoring: the whole method",
            allocation: .planned(.all), fit: FitSettings()),
    ]
}

extension SensitivityMap {
    /// The same prices for the candidates of an ablation step.
    func candidates(_ allowed: AblationStep.Candidates) throws -> SensitivityMap {
        if case .all = allowed { return self }
        return try mapCandidates { matrix, candidate in
            switch (candidate.format, allowed) {
            case (.pivotedLowRank, .pivotedLowRank), (.lowRank, .lowRank):
                return candidate
            case (.pivotedLowRank(let rank), .lowRank):
                // The same matrix, and so the same price, in more values.
                return try Candidate(
                    .lowRank(rank: rank), rows: matrix.rows, columns: matrix.columns,
                    as: matrix.elementType, predictedKL: candidate.predictedKL,
                    measuredKL: candidate.measuredKL)
            default:
                return nil
            }
        }
    }

    /// The map with other candidates; those that save nothing, or are there already, are left out.
    func mapCandidates(
        _ transform: (MatrixSensitivity, Candidate) throws -> Candidate?
    ) rethrows -> SensitivityMap {
        SensitivityMap(
            source: source, settings: settings,
            matrices: try matrices.map { matrix in
                var formats: Set<Format> = []
                let candidates = try matrix.candidates.compactMap { try transform(matrix, $0) }
                    .filter {
                        $0.parameters < matrix.rows * matrix.columns
                            && formats.insert($0.format).inserted
                    }
                return MatrixSensitivity(
                    name: matrix.name, region: matrix.region, rows: matrix.rows,
                    columns: matrix.columns,
                    elementType: matrix.elementType, score: matrix.score, entropy: matrix.entropy,
                    spectrum: matrix.spectrum, candidates: candidates)
            })
    }
}
