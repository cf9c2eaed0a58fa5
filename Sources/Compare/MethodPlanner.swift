// What each method makes of a budget: which format every matrix takes, and how it is fitted. Everything
// after that is the same program for all of them.
import Analyze
import Artifacts
import Calibration
import Compress
import Models
import TensorNetworks
import Tensors

/// A class, because spectra are made when the first method wants them.
final class MethodPlanner {
    /// A plan that says how it is fitted, and what its planner expects of it.
    struct Proposal {
        let plan: CompressionPlan
        let fit: FitSettings
        var predictedKL: Double?
    }

    private let checkpoint: Checkpoint
    private let configuration: ModelConfiguration
    private let source: Fingerprint
    private let device: Device
    private let oracle: SensitivityMap?
    private let moments: MomentCache
    /// What the checkpoint's analysis found; needed where `readsMap` says so.
    var map: SensitivityMap?
    private var whitened: [RankedMatrix]?
    private var plain: [RankedMatrix]?

    /// - Parameters:
    ///   - oracle: a map of measured divergences, where there is one.
    ///   - moments: complete for every method that is asked for.
    init(
        _ checkpoint: Checkpoint, _ configuration: ModelConfiguration, source: Fingerprint,
        device: Device, oracle: SensitivityMap?, moments: MomentCache
    ) {
        self.checkpoint = checkpoint
        self.configuration = configuration
        self.source = source
        self.device = device
        self.oracle = oracle
        self.moments = moments
    }

    /// The moments of the dense model that a method looks at.
    static func moments(of method: ComparedMethod) -> MomentPass.Extent? {
        switch method {
        case .svd: nil
        case .asvd, .whitened, .basisSharing, .tucker, .tensorTrain, .tensorRing: .inputs
        case .uniform, .spectralEnergy, .stableRank, .oracle, .minima, .ablation:
            .inputsAndOutputs
        }
    }

    static func readsMap(_ method: ComparedMethod) -> Bool {
        switch method {
        case .minima: true
        case .ablation(let step):
            switch AblationStep.all[step].allocation {
            case .uniform: false
            case .planned: true
            }
        default: false
        }
    }

    /// - Throws: `PlanError` or `CompressError.nothingFits` where the method has nothing for this budget.
    func propose(_ method: ComparedMethod, keep: Double) throws -> Proposal {
        let (weighted, twoSided) = (
            FitSettings.unanchored(.full), FitSettings.unanchored(.full, isTwoSided: true)
        )
        switch method {
        case .svd:
            return try uniform(.lowRank, keep, .unanchored(.weights))
        case .asvd:
            return try uniform(.lowRank, keep, .unanchored(.diagonal, shrinkage: 0))
        case .whitened:
            return try uniform(.lowRank, keep, weighted)
        case .basisSharing:
            // As in the paper: output and down read what differs from block to block, and lose by sharing.
            return Proposal(
                plan: try CompressionPlan(
                    basisSharing: keep, of: [.query, .key, .value, .gate, .up], for: checkpoint,
                    configuration, source: source),
                fit: weighted)
        case .tucker:
            return try uniform(.tucker, keep, weighted)
        case .tensorTrain:
            return try uniform(.tensorTrain, keep, weighted)
        case .tensorRing:
            return try uniform(.tensorRing, keep, weighted)
        case .uniform:
            return try uniform(.pivotedLowRank, keep, twoSided)
        case .spectralEnergy:
            return try heuristic(method, keep, twoSided, try whitenedSpectra()) {
                RankAllocation.spectralEnergy($0, budget: $1)
            }
        case .stableRank:
            return try heuristic(method, keep, twoSided, try plainSpectra()) {
                RankAllocation.stableRank($0, budget: $1)
            }
        case .oracle:
            guard let oracle else { throw CompareError.noOracle }
            return try planned(try measured(oracle), keep, twoSided)
        case .minima:
            return try planned(sensitivity(), keep, FitSettings())
        case .ablation(let step):
            let step = AblationStep.all[step]
            switch step.allocation {
            case .uniform(let kind):
                return try uniform(kind, keep, step.fit)
            case .planned(let candidates):
                return try planned(try sensitivity().candidates(candidates), keep, step.fit)
            }
        }
    }

    // MARK: Plans

    private func uniform(
        _ kind: Format.Kind, _ keep: Double, _ fit: FitSettings
    ) throws -> Proposal {
        Proposal(
            plan: try CompressionPlan(
                uniform: kind, keep: keep, for: checkpoint, configuration, source: source),
            fit: fit)
    }

    private func planned(
        _ map: SensitivityMap, _ keep: Double, _ fit: FitSettings
    ) throws -> Proposal {
        var planner = Planner(map, within: .keep(keep))
        planner.fit = fit
        let proposal = try planner.propose()
        return Proposal(plan: proposal.plan, fit: fit, predictedKL: proposal.predictedKL)
    }

    private func heuristic(
        _ method: ComparedMethod, _ keep: Double, _ fit: FitSettings, _ matrices: [RankedMatrix],
        _ allocate: ([RankedMatrix], Int) -> [Format]?
    ) throws -> Proposal {
        let budget = Int(keep * Double(matrices.reduce(0) { $0 + $1.size }))
        guard let formats = allocate(matrices, budget) else {
            throw CompressError.nothingFits(
                matrix: "all matrices", format: method.rawValue, keep: keep)
        }
        let plan = CompressionPlan(
            source: source,
            settings: ["planner": .string(method.rawValue), "keep": .number(keep)],
            matrices: zip(matrices, formats).map { MatrixPlan($0.module, $1, as: $0.elementType) })
        return Proposal(plan: plan, fit: fit)
    }

    private func sensitivity() -> SensitivityMap {
        guard let map else {
            preconditionFailure("the model was analysed for methods that read its map")
        }
        return map
    }

    /// A map whose prices are the measured ones; what was not measured cannot be chosen.
    private func measured(_ oracle: SensitivityMap) throws -> SensitivityMap {
        guard oracle.source == source else {
            throw CompareError.oracleOfOther(map: oracle.source, model: source)
        }
        let map = try oracle.mapCandidates { matrix, candidate in
            try candidate.measuredKL.map {
                try Candidate(
                    candidate.format, rows: matrix.rows, columns: matrix.columns,
                    as: matrix.elementType, predictedKL: $0, measuredKL: $0)
            }
        }
        if let matrix = map.matrices.first(where: \.candidates.isEmpty) {
            throw CompareError.unmeasured(matrix: matrix.name)
        }
        return map
    }

    // MARK: Spectra

    private func whitenedSpectra() throws -> [RankedMatrix] {
        if let whitened { return whitened }
        let fit = FitSettings()
        let made = try ranked { projection, layer, weight in
            let (input, output) = (
                try moments.moment(of: projection.input, layer: layer).moved(to: device),
                try moments.moment(of: projection, layer: layer).moved(to: device)
            )
            return try FitObjective(
                weight: weight, input: input, output: output, shrinkage: fit.shrinkage,
                outputShrinkage: fit.outputShrinkage)
        }
        whitened = made
        return made
    }

    private func plainSpectra() throws -> [RankedMatrix] {
        if let plain { return plain }
        let made = try ranked { try FitObjective(weight: $2, moment: nil) }
        plain = made
        return made
    }

    private func ranked(
        _ objective: (Projection, Int, Tensor) throws -> FitObjective
    ) throws -> [RankedMatrix] {
        let loader = WeightLoader(checkpoint, as: .float64, on: device)
        var matrices: [RankedMatrix] = []
        try withoutGradients {
            for layer in 0..<configuration.layerCount {
                for projection in Projection.allCases {
                    let module = configuration.module(projection, ofLayer: layer)
                    let weight = try loader.tensor(module.weight.name)
                    let spectrum = try WeightedSpectrum(of: objective(projection, layer, weight))
                    matrices.append(
                        RankedMatrix(
                            module: module,
                            elementType: checkpoint.info(module.weight.name)?.elementType
                                ?? .bfloat16,
                            energies: spectrum.energies))
                }
            }
        }
        return matrices
    }
}
