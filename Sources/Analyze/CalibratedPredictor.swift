// A predictor for one model: what was learnt elsewhere, corrected by the model's own probes.
//
// Few probes support little: which parts are used is chosen by cross-validation on the probes, the
// simplest of those that are about as good as the best.
import Artifacts
import Foundation
import TensorNetworks

package struct CalibratedPredictor {
    /// Which parts a prediction consists of.
    struct Recipe: Hashable {
        /// Whether it begins from weights of other models, else from the second-order price.
        var usesPrior = false
        var own = SensitivityPredictor.Recipe(scale: .none)
        /// Whether probes' residuals are carried over to candidates nearby.
        var usesField = false
    }

    /// What cross-validation said of the recipe that was chosen.
    package struct Validation: Hashable, Sendable {
        /// Of measured and predicted divergences of probes that were held out.
        package let spearman: Double?
        /// Root mean square of ln predicted − ln measured.
        package let logError: Double
    }

    let recipe: Recipe
    package let probes: Int
    /// `nil` with too few probes to hold any out.
    package let validation: Validation?
    private let features: ModelFeatures
    private let prior: SensitivityPredictor?
    private let own: SensitivityPredictor
    private let field: ResidualField?

    private static let folds = 5
    /// Fewest probes that anything but a common factor is learnt from.
    private static let fewest = 8
    /// A simpler recipe is taken where its error is within this factor of the best.
    private static let tolerance = 1.02

    /// - Parameters:
    ///   - measured: the model's own probes; may be none.
    ///   - prior: weights learnt from other models.
    package init(
        _ measurements: [ProbeMeasurement], features: ModelFeatures,
        prior: SensitivityPredictor? = nil, seed: UInt64 = 0
    ) throws {
        try self.init(
            MeasuredModel(measurements, features: features), prior: prior, seed: seed)
    }

    init(_ measured: MeasuredModel, prior: SensitivityPredictor?, seed: UInt64 = 0) throws {
        guard measured.rows.count >= Self.fewest else {
            let scale: SensitivityPredictor.Recipe.Scale = measured.rows.isEmpty ? .none : .offset
            try self.init(
                Recipe(usesPrior: prior != nil, own: .init(scale: scale)), measured, prior,
                validation: nil, seed)
            return
        }
        var recipes = Self.recipes(hasPrior: prior != nil)
        var errors = try recipes.flatMap { try Self.heldOut([$0], measured, prior, seed) }
        // Networks take longest to train: only on top of what is best without.
        let best = Self.simplest(errors)
        let shares = [0.5, 1]
        for share in shares {
            recipes.append(recipes[best])
            recipes[recipes.count - 1].own.networkShare = share
        }
        errors += try Self.heldOut(Array(recipes.suffix(shares.count)), measured, prior, seed)
        let chosen = Self.simplest(errors)
        let measuredLogs = measured.rows.map(\.logDivergence)
        try self.init(
            recipes[chosen], measured, prior,
            validation: Validation(
                spearman: RankCorrelation.spearman(
                    zip(measuredLogs, errors[chosen]).map { $0 + $1 }, measuredLogs),
                logError: Self.rootMeanSquare(errors[chosen])), seed)
    }

    private init(
        _ recipe: Recipe, _ measured: MeasuredModel, _ prior: SensitivityPredictor?,
        validation: Validation?, _ seed: UInt64, trained: SensitivityPredictor? = nil
    ) throws {
        self.recipe = recipe
        self.prior = recipe.usesPrior ? prior : nil
        self.validation = validation
        features = measured.features
        probes = measured.rows.count
        let queries = measured.rows.map(\.query)
        let base =
            try self.prior?.predict(queries, in: features) ?? queries.map(\.logPrice)
        own =
            try measured.rows.isEmpty
            ? .identity
            : trained
                ?? SensitivityPredictor(recipe.own, from: [measured], beyond: [base], seed: seed)
        guard recipe.usesField else {
            field = nil
            return
        }
        let corrections = try own.corrections(queries, in: features)
        field = try ResidualField(
            queries,
            measured.rows.indices.map {
                measured.rows[$0].logDivergence - base[$0] - corrections[$0]
            })
    }

    /// ln divergence of each query.
    func predict(_ queries: [PredictorQuery]) throws -> [Double] {
        let base = try prior?.predict(queries, in: features) ?? queries.map(\.logPrice)
        let corrections = try own.corrections(queries, in: features)
        return queries.indices.map {
            base[$0] + corrections[$0] + (field?.value(queries[$0]) ?? 0)
        }
    }

    /// The parts in words, as settings record them.
    package var method: String {
        var parts = [recipe.usesPrior ? "weights" : "second-order"]
        switch recipe.own.scale {
        case .none: break
        case .offset: parts.append("offset")
        case .ridge: parts.append("scale")
        }
        if recipe.own.networkShare > 0 { parts.append("network") }
        if recipe.usesField { parts.append("neighbours") }
        return parts.joined(separator: " + ")
    }

    // MARK: Choice

    /// The simplest first.
    private static func recipes(hasPrior: Bool) -> [Recipe] {
        [SensitivityPredictor.Recipe.Scale.offset, .ridge(penalty: 10), .ridge(penalty: 1)]
            .flatMap { scale in
                [false, true].flatMap { field in
                    (hasPrior ? [true, false] : [false]).map { prior in
                        Recipe(usesPrior: prior, own: .init(scale: scale), usesField: field)
                    }
                }
            }
    }

    /// ln predicted − ln measured of every probe, each predicted from the other folds.
    /// - Parameter recipes: that differ in the network's share alone: it is trained once for all.
    private static func heldOut(
        _ recipes: [Recipe], _ measured: MeasuredModel, _ prior: SensitivityPredictor?,
        _ seed: UInt64
    ) throws -> [[Double]] {
        let zeros = [Double](repeating: 0, count: measured.rows.count)
        var errors = recipes.map { _ in zeros }
        for fold in 0..<folds {
            let out = measured.rows.indices.filter { $0 % folds == fold }
            let kept = MeasuredModel(
                features: measured.features,
                rows: measured.rows.indices.filter { $0 % folds != fold }.map { measured.rows[$0] })
            var trained: SensitivityPredictor?
            for (number, recipe) in recipes.enumerated() {
                let fitted = try CalibratedPredictor(
                    recipe, kept, prior, validation: nil, seed,
                    trained: trained?.counting(networkAs: recipe.own.networkShare))
                trained = fitted.own
                let predicted = try fitted.predict(out.map { measured.rows[$0].query })
                for (index, value) in zip(out, predicted) {
                    errors[number][index] = value - measured.rows[index].logDivergence
                }
            }
        }
        return errors
    }

    private static func simplest(_ errors: [[Double]]) -> Int {
        let sizes = errors.map(rootMeanSquare)
        let limit = (sizes.min() ?? 0) * tolerance
        return sizes.firstIndex { $0 <= limit } ?? 0
    }

    private static func rootMeanSquare(_ values: [Double]) -> Double {
        (values.reduce(0) { $0 + $1 * $1 } / Double(max(1, values.count))).squareRoot()
    }
}
