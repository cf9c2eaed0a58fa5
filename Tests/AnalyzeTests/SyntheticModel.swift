import Artifacts
import Foundation
import Models
import TensorNetworks
import Tensors

@testable import Analyze

/// A map whose spectra are known, and divergences that follow a law of our making.
struct SyntheticModel {
    let map: SensitivityMap
    let features: ModelFeatures

    init(layers: Int, seed: UInt64) throws {
        var random = Random(seed: seed)
        var matrices: [MatrixSensitivity] = []
        for layer in 0..<layers {
            for projection in Projection.allCases {
                let pace = Double.random(in: 2...8, using: &random)
                let scale = exp(Double.random(in: -6 ... -1, using: &random))
                let (rows, columns) = projection == .down ? (32, 64) : (48, 32)
                let energies = (0..<32).map { exp(-pace * Double($0) / 16) }
                let sum = energies.reduce(0, +)
                var candidates: [Candidate] = []
                for rank in 1..<32 {
                    let price = scale * energies.dropFirst(rank).reduce(0, +) / sum
                    for format in [Format.pivotedLowRank(rank: rank), .lowRank(rank: rank)]
                    where try format.parameterCount(rows: rows, columns: columns) < rows * columns {
                        candidates.append(
                            try Candidate(
                                format, rows: rows, columns: columns, as: .float32,
                                predictedKL: price))
                    }
                }
                let shares = energies.map { $0 / sum }
                matrices.append(
                    MatrixSensitivity(
                        name: DecoderBlock.prefix(layer) + projection.rawValue, rows: rows,
                        columns: columns, elementType: .float32, score: 0,
                        entropy: shares.reduce(0) { $0 - $1 * log($1) }, spectrum: shares,
                        candidates: candidates))
            }
        }
        let map = SensitivityMap(
            source: try TestData.fingerprint(), settings: ["method": .string("second-order")],
            matrices: SensitivityMap.scored(matrices))
        self.map = map
        features = ModelFeatures(
            source: map.source,
            matrices: try map.matrices.enumerated().compactMap { index, matrix in
                guard let place = MatrixPlace(name: matrix.name) else { return nil }
                let weight = try Tensor.normal(
                    [matrix.rows, matrix.columns], seed: seed &* 100 &+ UInt64(index))
                return try MatrixFeatures(of: matrix, at: place, weight: weight)
            })
    }

    /// ln divergence = ln price + 0.6 + 0.4 for down + 0.5 · depth + 0.3 where much is removed.
    static func law(_ query: PredictorQuery, layers: Int) -> Double {
        let depth = Double(query.place.layer) / Double(layers - 1)
        return query.logPrice + 0.6 + (query.place.projection == .down ? 0.4 : 0) + 0.5 * depth
            + 0.3 * (1 - query.share)
    }

    /// As if a probe had been made.
    func measurement(_ probe: Probe) throws -> ProbeMeasurement {
        let matrix = map.matrices[probe.matrix]
        let candidate = matrix.candidates[probe.candidate]
        let logarithm =
            PredictorQuery(candidate, of: matrix).map { Self.law($0, layers: features.layers) } ?? 0
        return ProbeMeasurement(
            key: ProbeMeasurement.Key(
                checkpoint: map.source, text: Fingerprint(hashing: [[1]]), matrix: matrix.name,
                region: MatrixRegion(rows: 0..<matrix.rows, columns: 0..<matrix.columns),
                format: candidate.format, fit: "{}"),
            divergence: exp(logarithm), outputError: 0, price: candidate.predictedKL,
            parameters: candidate.parameters, tokens: 1, date: "", program: "")
    }

    func measurements(_ count: Int) throws -> [ProbeMeasurement] {
        try ProbeSample.stratified(map, count: count).map(measurement)
    }

    /// Root mean square of ln predicted − law over all candidates of a map.
    func logError(_ map: SensitivityMap) throws -> Double {
        var squares: [Double] = []
        for (matrix, predicted) in zip(self.map.matrices, map.matrices) {
            for (candidate, new) in zip(matrix.candidates, predicted.candidates) {
                guard let query = PredictorQuery(candidate, of: matrix) else { continue }
                let error = log(new.predictedKL) - Self.law(query, layers: features.layers)
                squares.append(error * error)
            }
        }
        return (squares.reduce(0, +) / Double(squares.count)).squareRoot()
    }
}
