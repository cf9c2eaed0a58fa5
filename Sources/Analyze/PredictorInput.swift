// One candidate as a predictor sees it: numbers that mean the same in every model.
import Artifacts
import Foundation
import Models
import TensorNetworks

/// A candidate whose divergence is to be predicted.
struct PredictorQuery: Hashable {
    let place: MatrixPlace
    /// Of the matrix's parameters that the candidate keeps.
    let share: Double
    /// ln of the second-order price, nats per token.
    let logPrice: Double
    let kind: Format.Kind

    init(_ place: MatrixPlace, share: Double, price: Double, kind: Format.Kind) {
        self.place = place
        self.share = share
        logPrice = PriceCurve.logarithm(price)
        self.kind = kind
    }

    /// - Returns: `nil` for a matrix that is no projection of a block.
    init?(_ candidate: Candidate, of matrix: MatrixSensitivity) {
        guard let place = MatrixPlace(name: matrix.name) else { return nil }
        self.init(
            place, share: Double(candidate.parameters) / Double(matrix.rows * matrix.columns),
            price: candidate.predictedKL, kind: candidate.format.kind)
    }
}

/// A query whose divergence was measured.
struct PredictorRow {
    let query: PredictorQuery
    /// ln of the measured divergence, nats per token.
    let logDivergence: Double
}

/// The measured candidates of one model.
struct MeasuredModel {
    let features: ModelFeatures
    let rows: [PredictorRow]

    /// Below it a measurement is rounding, and says nothing about the candidate.
    private static let leastDivergence = 1e-7

    init(features: ModelFeatures, rows: [PredictorRow]) {
        self.features = features
        self.rows = rows
    }

    init(_ measurements: [ProbeMeasurement], features: ModelFeatures) {
        rows = measurements.compactMap { measurement in
            guard measurement.divergence >= Self.leastDivergence,
                let place = MatrixPlace(name: measurement.key.matrix),
                let matrix = features[place]
            else { return nil }
            let dense = Double(matrix.rows * matrix.columns)
            return PredictorRow(
                query: PredictorQuery(
                    place, share: Double(measurement.parameters) / dense,
                    price: measurement.price, kind: measurement.key.format.kind),
                logDivergence: log(measurement.divergence))
        }
        self.features = features
    }
}

enum PredictorInput {
    /// Blocks before and after the query's own that a predictor looks at.
    static let reach = 2
    private static let kinds = Format.Kind.allCases.filter { $0 != .dense }
    private static let middle = PriceCurve.shares.count / 2 - 1

    private static let candidateNames = ["log_price", "log_relative_error", "share", "log_removed"]
    private static let placeNames = ["depth", "from_start", "from_end"]
    private static let projectionNames = Projection.allCases.map { "projection_\($0.rawValue)" }

    /// What every number of a vector means; predictors of other lists are refused.
    static let names =
        candidateNames + PriceCurve.shares.map { "curve_\($0)" } + MatrixFeatures.names
        + placeNames + projectionNames + kinds.map { "kind_\($0.rawValue)" } + ["exists"]

    /// Places in a vector of what a linear scale may depend on.
    static let scaleColumns = names.indices.filter {
        (candidateNames.prefix(3) + placeNames + projectionNames).contains(names[$0])
    }

    /// The vectors of the same projection in the blocks around a query's, `2 · reach + 1` of them, at
    /// the query's share; zero where there is no block.
    static func vectors(_ query: PredictorQuery, in model: ModelFeatures) -> [[Double]] {
        (-reach...reach).map { offset in
            let place = MatrixPlace(
                layer: query.place.layer + offset, projection: query.place.projection)
            guard let matrix = model[place] else {
                return [Double](repeating: 0, count: names.count)
            }
            let price =
                offset == 0
                ? query.logPrice : PriceCurve.value(at: query.share, of: matrix.prices)
            return vector(matrix, price, query, depth: model.layers)
        }
    }

    private static func vector(
        _ matrix: MatrixFeatures, _ price: Double, _ query: PredictorQuery, depth layers: Int
    ) -> [Double] {
        let layer = Double(matrix.place.layer)
        let last = Double(max(1, layers - 1))
        let candidate = [
            price, price - matrix.totalPrice, query.share, log(max(1e-3, 1 - query.share)),
        ]
        let curve = matrix.prices.map { $0 - matrix.prices[middle] }
        let place = [layer / last, 1 / (1 + layer), 1 / (1 + last - layer)]
        return candidate + curve + matrix.values + place
            + Projection.allCases.map { $0 == matrix.place.projection ? 1 : 0 }
            + kinds.map { $0 == query.kind ? 1 : 0 } + [1]
    }
}

/// Shifts and scales every feature to mean 0 and deviation 1 over the training rows.
struct Normalisation: Codable, Hashable {
    let means: [Double]
    /// 0 for a feature that was the same in all rows, which therefore says nothing.
    let scales: [Double]

    /// Further out nothing was seen: the edge of what was is the safer guess.
    private static let limit = 3.0

    init(of vectors: [[Double]]) {
        let count = Double(max(1, vectors.count))
        let width = PredictorInput.names.count
        let means = (0..<width).map { column in
            vectors.reduce(0) { $0 + $1[column] } / count
        }
        self.means = means
        scales = (0..<width).map { column in
            let variance =
                vectors.reduce(0) {
                    $0 + ($1[column] - means[column]) * ($1[column] - means[column])
                }
                / count
            return variance > 1e-12 ? 1 / variance.squareRoot() : 0
        }
    }

    func apply(_ vector: [Double]) -> [Double] {
        // A block that does not exist stays zero, which is what padding is.
        guard vector.last == 1 else { return [Double](repeating: 0, count: vector.count) }
        return vector.indices.map {
            min(Self.limit, max(-Self.limit, (vector[$0] - means[$0]) * scales[$0]))
        }
    }
}
