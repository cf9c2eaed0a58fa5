// ln measured divergence ≈ ln second-order price + linear scale + share · convolutional residual.
//
// It knows no model: its inputs mean the same in each, so what one model's measurements teach can be
// tried on another.
import Foundation
import Tensors

package struct SensitivityPredictor {
    /// Raised whenever the same weights would predict something else.
    package static let version = 1

    let normalisation: Normalisation
    let scale: RidgeScale
    let network: DepthNetwork?
    /// What share of the network's output counts; below 1 where cross-validation distrusts it.
    let networkShare: Double

    /// What a predictor consists of.
    struct Recipe: Hashable, Codable {
        enum Scale: Hashable, Codable {
            case none
            case offset
            case ridge(penalty: Double)
        }

        var scale: Scale
        /// 0 for no network.
        var networkShare = 0.0
    }

    /// Nothing is added to the second-order price.
    static var identity: SensitivityPredictor {
        SensitivityPredictor(
            normalisation: Normalisation(of: []), scale: .none, network: nil, networkShare: 0)
    }

    init(
        normalisation: Normalisation, scale: RidgeScale, network: DepthNetwork?,
        networkShare: Double
    ) {
        self.normalisation = normalisation
        self.scale = scale
        self.network = network
        self.networkShare = networkShare
    }

    /// Learns from rows of any models.
    /// - Parameter base: what is predicted already, per model and row; the ln prices where `nil`.
    init(
        _ recipe: Recipe, from models: [MeasuredModel], beyond base: [[Double]]? = nil,
        seed: UInt64 = 0
    ) throws {
        let windows = models.flatMap { model in
            model.rows.map { PredictorInput.vectors($0.query, in: model.features) }
        }
        let given = base?.flatMap { $0 } ?? models.flatMap { $0.rows.map(\.query.logPrice) }
        var targets = zip(models.flatMap(\.rows), given).map { $0.logDivergence - $1 }
        let normalisation = Normalisation(of: windows.map { $0[PredictorInput.reach] })
        self.normalisation = normalisation
        let inputs = windows.map { $0.map(normalisation.apply) }
        let centres = inputs.map { $0[PredictorInput.reach] }
        switch recipe.scale {
        case .none: scale = .none
        case .offset: scale = RidgeScale(offsetOf: targets)
        case .ridge(let penalty): scale = try RidgeScale(centres, targets, penalty: penalty)
        }
        networkShare = recipe.networkShare
        guard recipe.networkShare > 0 else {
            network = nil
            return
        }
        let scale = scale
        targets = zip(targets, centres).map { $0 - scale.value($1) }
        var training = DepthNetwork.Training()
        training.seed = seed
        network = try DepthNetwork(Self.tensor(inputs), targets, training)
    }

    /// The same with another share of the network.
    func counting(networkAs share: Double) -> SensitivityPredictor {
        SensitivityPredictor(
            normalisation: normalisation, scale: scale, network: network, networkShare: share)
    }

    /// What is added to the ln price (or to another base) of each query.
    func corrections(_ queries: [PredictorQuery], in model: ModelFeatures) throws -> [Double] {
        guard !queries.isEmpty else { return [] }
        let inputs = queries.map {
            PredictorInput.vectors($0, in: model).map(normalisation.apply)
        }
        let linear = inputs.map { scale.value($0[PredictorInput.reach]) }
        guard let network, networkShare > 0 else { return linear }
        let learnt = try withoutGradients {
            try network(Self.tensor(inputs)).elements(as: Double.self)
        }
        return zip(linear, learnt).map { $0 + networkShare * $1 }
    }

    /// ln divergence of each query.
    func predict(_ queries: [PredictorQuery], in model: ModelFeatures) throws -> [Double] {
        zip(queries, try corrections(queries, in: model)).map { $0.logPrice + $1 }
    }

    /// `[rows, 5, features]`.
    private static func tensor(_ inputs: [[[Double]]]) throws -> Tensor {
        try Tensor(
            inputs.flatMap { $0.flatMap { $0 } },
            shape: [inputs.count, 2 * PredictorInput.reach + 1, PredictorInput.names.count])
    }
}
