// measurements of any models → weights that can be tried on another.
import Artifacts
import Foundation

package struct PredictorTraining {
    private let models: [MeasuredModel]
    package var seed: UInt64 = 0

    /// Parts that cross-validation chooses from, the simplest first.
    private static let recipes: [SensitivityPredictor.Recipe] = [
        .init(scale: .offset), .init(scale: .ridge(penalty: 10)),
        .init(scale: .ridge(penalty: 10), networkShare: 0.5),
        .init(scale: .ridge(penalty: 10), networkShare: 1),
    ]

    init(_ models: [MeasuredModel]) { self.models = models }

    /// - Parameter checkpoints: models of the store to learn from.
    package init(
        _ store: MeasurementStore, checkpoints: [Fingerprint]
    ) throws {
        models = try checkpoints.map { checkpoint in
            guard let features = try store.features(of: checkpoint) else {
                throw PredictorError.unmeasured(checkpoint, store: store.path)
            }
            return MeasuredModel(
                try store.measurements(of: checkpoint), features: features)
        }
        guard models.contains(where: { !$0.rows.isEmpty }) else {
            throw PredictorError.empty(store: store.path)
        }
    }

    /// Measurements that are learnt from.
    package var count: Int { models.reduce(0) { $0 + $1.rows.count } }

    /// How each recipe does where it has not learnt: on another model where there are several, else
    /// on other blocks; root mean square of ln predicted − ln measured.
    package func run() throws -> (predictor: SensitivityPredictor, logError: Double) {
        let errors = try Self.recipes.map(heldOut)
        let limit = (errors.min() ?? 0) * 1.02
        let chosen = errors.firstIndex { $0 <= limit } ?? 0
        return (
            try SensitivityPredictor(Self.recipes[chosen], from: models, seed: seed),
            errors[chosen]
        )
    }

    private func heldOut(_ recipe: SensitivityPredictor.Recipe) throws -> Double {
        var errors: [Double] = []
        for (train, test) in splits {
            let predictor = try SensitivityPredictor(recipe, from: train, seed: seed)
            let predicted = try predictor.predict(test.rows.map(\.query), in: test.features)
            errors += zip(predicted, test.rows).map { $0 - $1.logDivergence }
        }
        return (errors.reduce(0) { $0 + $1 * $1 } / Double(max(1, errors.count))).squareRoot()
    }

    private var splits: [(train: [MeasuredModel], test: MeasuredModel)] {
        guard models.count == 1, let model = models.first else {
            return models.indices.map { out in
                (models.indices.filter { $0 != out }.map { models[$0] }, models[out])
            }
        }
        return model.blocksLeftOut.map { ([$0.train], $0.test) }
    }
}

extension MeasuredModel {
    /// Most groups that blocks are left out in.
    private static let mostGroups = 6

    /// The rows of a block, and those of all others, for every block; of deep models, blocks that
    /// follow one another are left out together.
    var blocksLeftOut: [(train: MeasuredModel, test: MeasuredModel)] {
        let size = max(1, (features.layers + Self.mostGroups - 1) / Self.mostGroups)
        return stride(from: 0, to: features.layers, by: size).map { first in
            let group = first..<first + size
            return (
                MeasuredModel(
                    features: features,
                    rows: rows.filter { !group.contains($0.query.place.layer) }),
                MeasuredModel(
                    features: features,
                    rows: rows.filter { group.contains($0.query.place.layer) })
            )
        }.filter { !$0.train.rows.isEmpty && !$0.test.rows.isEmpty }
    }
}

package enum PredictorError: Error, Equatable, CustomStringConvertible {
    case unmeasured(Fingerprint, store: String)
    case empty(store: String)
    case incomplete(measured: Int, wanted: Int, store: String)
    case weights(file: String, reason: String)

    package var description: String {
        switch self {
        case .unmeasured(let checkpoint, let store):
            "\(store) has no measurements of \(checkpoint) with features of this version"
        case .empty(let store):
            "\(store) has no measurements to learn from; `minima predictor measure` makes them"
        case .incomplete(let measured, let wanted, let store):
            "\(store) has \(measured) of the \(wanted) measurements; `minima predictor measure` with the same options makes the others"
        case .weights(let file, let reason):
            "\(file) is no predictor: \(reason)"
        }
    }
}
