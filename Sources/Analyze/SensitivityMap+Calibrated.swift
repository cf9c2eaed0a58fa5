import Artifacts
import Foundation
import TensorNetworks

extension SensitivityMap {
    /// The same map with calibrated predictions, the measurements themselves, and new scores.
    ///
    /// Within a family of formats more parameters are never predicted to cost more. Candidates that are
    /// predicted to cost nothing stay free. Without probes and weights, the map itself.
    /// - Parameter measurements: of this map's model.
    package func calibrated(
        by predictor: CalibratedPredictor, _ measurements: [ProbeMeasurement],
        settings: [String: JSONValue] = [:]
    ) throws -> SensitivityMap {
        let isIdentity = predictor.method == "second-order"
        let revised = try matrices.map { matrix -> MatrixSensitivity in
            let predicted = isIdentity ? nil : try Self.divergences(matrix, predictor)
            return matrix.revised(
                candidates: matrix.candidates.enumerated().map { index, candidate in
                    Candidate(
                        format: candidate.format, parameters: candidate.parameters,
                        bytes: candidate.bytes,
                        predictedKL: predicted?[index] ?? candidate.predictedKL,
                        measuredKL: candidate.measuredKL)
                })
        }
        return SensitivityMap(
            source: source, settings: self.settings.merging(settings) { $1 },
            matrices: isIdentity ? revised : Self.scored(revised)
        ).measured(measurements)
    }

    /// The same map with what was measured beside its predictions.
    /// - Parameter measurements: those of other models are passed over.
    package func measured(_ measurements: [ProbeMeasurement]) -> SensitivityMap {
        var measured: [String: [Format: Double]] = [:]
        for measurement in measurements where measurement.key.checkpoint == source {
            measured[measurement.key.matrix, default: [:]][measurement.key.format] =
                measurement.divergence
        }
        return SensitivityMap(
            source: source, settings: settings,
            matrices: matrices.map { matrix in
                matrix.revised(
                    candidates: matrix.candidates.map { candidate in
                        Candidate(
                            format: candidate.format, parameters: candidate.parameters,
                            bytes: candidate.bytes, predictedKL: candidate.predictedKL,
                            measuredKL: measured[matrix.name]?[candidate.format]
                                ?? candidate.measuredKL)
                    })
            })
    }

    /// - Returns: `nil` for a matrix that the predictor does not know.
    private static func divergences(
        _ matrix: MatrixSensitivity, _ predictor: CalibratedPredictor
    ) throws -> [Double]? {
        let queries = matrix.candidates.compactMap { PredictorQuery($0, of: matrix) }
        guard queries.count == matrix.candidates.count else { return nil }
        var predicted = try predictor.predict(queries).map(exp)
        for (index, candidate) in matrix.candidates.enumerated() where candidate.predictedKL == 0 {
            predicted[index] = 0
        }
        for family in Dictionary(
            grouping: matrix.candidates.indices, by: { matrix.candidates[$0].format.kind }
        ).values {
            let order = family.sorted {
                (matrix.candidates[$0].parameters, $0) < (matrix.candidates[$1].parameters, $1)
            }
            let falling = IsotonicRegression.falling(order.map { predicted[$0] })
            for (index, value) in zip(order, falling) { predicted[index] = value }
        }
        return predicted
    }

    /// Scores rank the matrices by what they cost where 65% of their parameters remain.
    static func scored(_ matrices: [MatrixSensitivity]) -> [MatrixSensitivity] {
        let costs = matrices.map { matrix in
            let budget = Int(0.65 * Double(matrix.rows * matrix.columns))
            return matrix.candidates.filter { $0.parameters <= budget }
                .max { $0.parameters < $1.parameters }?.predictedKL ?? 0
        }
        let order = costs.indices.sorted { (costs[$0], $0) < (costs[$1], $1) }
        var scores = [Double](repeating: 0, count: costs.count)
        for (place, index) in order.enumerated() where costs.count > 1 {
            scores[index] = Double(place) / Double(costs.count - 1)
        }
        return zip(matrices, scores).map { $0.revised(score: $1) }
    }
}

extension MatrixSensitivity {
    func revised(score: Double? = nil, candidates: [Candidate]? = nil) -> MatrixSensitivity {
        MatrixSensitivity(
            name: name, rows: rows, columns: columns, elementType: elementType,
            score: score ?? self.score, entropy: entropy, spectrum: spectrum,
            candidates: candidates ?? self.candidates)
    }
}

/// Pooling of adjacent violators (Ayer et al. 1955): the nearest sequence that never rises, in the
/// logarithm, where ratios count alike.
enum IsotonicRegression {
    /// - Parameter values: 0 or more; a 0 ends the comparison, for all after it must be 0 too.
    static func falling(_ values: [Double]) -> [Double] {
        let positive = values.prefix { $0 > 0 }
        var pools: [(sum: Double, count: Int)] = []
        for value in positive {
            pools.append((log(value), 1))
            while pools.count > 1 {
                let (left, right) = (pools[pools.count - 2], pools[pools.count - 1])
                guard left.sum / Double(left.count) < right.sum / Double(right.count) else { break }
                pools.removeLast(2)
                pools.append((left.sum + right.sum, left.count + right.count))
            }
        }
        return pools.flatMap { pool in
            [Double](repeating: exp(pool.sum / Double(pool.count)), count: pool.count)
        } + [Double](repeating: 0, count: values.count - positive.count)
    }
}

extension CalibratedPredictor {
    /// As maps record how they were calibrated.
    package var settings: [String: JSONValue] {
        var predictor: [String: JSONValue] = [
            "method": .string(method), "version": .integer(SensitivityPredictor.version),
        ]
        if let validation {
            predictor["log_error"] = .number(validation.logError)
            if let spearman = validation.spearman { predictor["spearman"] = .number(spearman) }
        }
        return ["probes": .integer(probes), "predictor": .object(predictor)]
    }
}
