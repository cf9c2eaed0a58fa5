/// A way to compress a model that `minima compare` measures; raw values are as on the command line. To add
/// one: a case, its summary, and what it plans and how it fits in `MethodPlanner`.
package enum ComparedMethod: Hashable, Sendable {
    case svd
    case asvd
    case whitened
    case basisSharing
    case tucker
    case tensorTrain
    case tensorRing
    case uniform
    case spectralEnergy
    case stableRank
    case oracle
    case minima
    /// A step of `AblationStep.all`, by its number.
    case ablation(Int)

    /// In the order of tables.
    package static let all: [ComparedMethod] =
        [
            .svd, .asvd, .whitened, .basisSharing, .tucker, .tensorTrain, .tensorRing, .uniform,
            .spectralEnergy, .stableRank, .oracle, .minima,
        ] + AblationStep.all.indices.map { .ablation($0) }

    /// The step of that name.
    package static func ablation(named name: String) -> ComparedMethod {
        guard let step = AblationStep.all.firstIndex(where: { $0.name == name }) else {
            preconditionFailure("no step is named \(name)")
        }
        return .ablation(step)
    }

    package init?(rawValue: String) {
        guard let method = Self.all.first(where: { $0.rawValue == rawValue }) else { return nil }
        self = method
    }

    package var rawValue: String {
        switch self {
        case .svd: "svd"
        case .asvd: "asvd"
        case .whitened: "svd-llm"
        case .basisSharing: "basis-sharing"
        case .tucker: "tucker"
        case .tensorTrain: "tensor-train"
        case .tensorRing: "tensor-ring"
        case .uniform: "uniform"
        case .spectralEnergy: "spectral-energy"
        case .stableRank: "stable-rank"
        case .oracle: "oracle"
        case .minima: "minima"
        case .ablation(let step): "ablation-\(AblationStep.all[step].name)"
        }
    }

    /// One line, with the source.
    package var summary: String {
        switch self {
        case .svd:
            "truncated SVD of the weights, uniform"
        case .asvd:
            "SVD with input channels scaled by (E[x²])^¼ for (mean |x|)^½, uniform (ASVD, arXiv 2312.05821)"
        case .whitened:
            "whitened low rank on the dense model's inputs, uniform (SVD-LLM, arXiv 2403.07378)"
        case .basisSharing:
            "whitened low rank with one input factor for two neighbouring blocks, uniform (arXiv 2410.03765)"
        case .tucker:
            "Tucker networks, weighted by the input moments, uniform"
        case .tensorTrain:
            "tensor trains, weighted by the input moments, uniform"
        case .tensorRing:
            "tensor rings, weighted by the input moments, uniform"
        case .uniform:
            "pivoted low rank (PIFA, arXiv 2501.19090), two-sided, uniform"
        case .spectralEnergy:
            "the same, ranks that keep equal shares of every matrix's whitened spectral energy"
        case .stableRank:
            "the same, shares in proportion to the weight's stable rank ‖W‖²_F / ‖W‖²₂"
        case .oracle:
            "the same, planned from KL divergences measured for every candidate (--oracle-map)"
        case .minima:
            "what minima compress --keep does"
        case .ablation(let step):
            AblationStep.all[step].summary
        }
    }

    /// Whether it is this program's own method, or a step towards it; the others are what it is to beat.
    package var isOurs: Bool {
        switch self {
        case .minima, .ablation: true
        default: false
        }
    }
}
