// What is cheap to know of a matrix, and what a predictor goes by: the whitened spectrum, the values'
// distribution, the place in the model, the sizes.
import Artifacts
import Foundation
import Models
import TensorNetworks
import Tensors

package struct MatrixFeatures: Codable, Hashable, Sendable {
    /// Raised whenever a feature changes its meaning.
    package static let version = 1

    package let name: String
    package let place: MatrixPlace
    package let rows: Int
    package let columns: Int
    /// In the order of `names`.
    package let values: [Double]
    /// ln of the second-order price at `PriceCurve.shares`.
    package let prices: [Double]
    /// ln of the price of removing the matrix: price / this = the relative error in the weighted norm.
    package let totalPrice: Double

    /// Shares of the singular values behind which the energy is sampled.
    private static let tails = [1.0 / 16, 1.0 / 8, 1.0 / 4, 1.0 / 2, 3.0 / 4]

    package static let names =
        ["entropy", "effective_rank", "condition"] + tails.map { "tail_\($0)" }
        + ["scale", "kurtosis", "near_zero", "log_rows", "log_columns"]

    /// - Parameter weight: W `[rows, columns]`.
    init(of matrix: MatrixSensitivity, at place: MatrixPlace, weight: Tensor) throws {
        name = matrix.name
        self.place = place
        rows = matrix.rows
        columns = matrix.columns
        let spectrum = WhitenedSpectrum(matrix)
        values =
            [
                matrix.entropy / log(Double(max(2, spectrum.count))),
                matrix.entropy - log(Double(spectrum.count)), spectrum.logCondition,
            ]
            + Self.tails.map { log(max(1e-8, spectrum.tail(after: $0))) }
            + (try Self.distribution(of: weight))
            + [log(Double(rows)), log(Double(columns))]
        prices = PriceCurve.sampled(matrix)
        totalPrice = spectrum.logTotal(matrix.candidates)
    }

    /// ln of the root mean square, ln of the kurtosis (3 for a normal distribution), and the share of
    /// values within a tenth of the root mean square (0.080 for a normal distribution).
    private static func distribution(of weight: Tensor) throws -> [Double] {
        let w = try weight.detached().converted(to: .float32)
        let squares = try w.squared()
        let mean = try squares.mean().scalar()
        guard mean > 0 else { return [log(1e-8), 0, 1] }
        let fourth = try squares.squared().mean().scalar()
        let near = try w.magnitude().less(0.1 * mean.squareRoot()).converted(to: .float32).mean()
            .scalar()
        return [0.5 * log(mean), log(max(1, fourth / (mean * mean))), near]
    }
}

/// A spectrum as a map samples it: `count` energies pᵢ that sum to 1, at evenly spaced places.
private struct WhitenedSpectrum {
    let count: Int
    private let samples: [Double]
    /// Cumulative energy up to each sample, that sample's own included; normalised, for a sampled
    /// spectrum sums to 1 only roughly.
    private let sums: [Double]

    init(_ matrix: MatrixSensitivity) {
        let (count, samples) = (max(1, min(matrix.rows, matrix.columns)), matrix.spectrum)
        (self.count, self.samples) = (count, samples)
        let places = samples.indices.map { $0 * count / max(1, samples.count) }
        var sums: [Double] = []
        var sum = 0.0
        for (index, sample) in samples.enumerated() {
            if index > 0 {
                // Those between two samples lie between them.
                let between = places[index] - places[index - 1] - 1
                sum += Double(between) * 0.5 * (samples[index - 1] + sample)
            }
            sum += sample
            sums.append(sum)
        }
        if let last = places.last, let sample = samples.last {
            sum += Double(count - 1 - last) * 0.5 * sample
        }
        self.sums = sum > 0 ? sums.map { $0 / sum } : sums
    }

    /// ½·ln of the largest energy over the last one sampled: a condition number.
    var logCondition: Double {
        guard let first = samples.first, let last = samples.last, first > 0 else { return 0 }
        return 0.5 * log(first / max(last, first * 1e-12))
    }

    /// Share of the energy behind this share of the singular values.
    func tail(after share: Double) -> Double {
        guard !samples.isEmpty else { return 1 }
        // As many singular values as `share` covers; sample i stands after i·count/samples + 1 of them.
        let place = (share * Double(count) - 1) * Double(samples.count) / Double(count)
        let left = Int(place.rounded(.down))
        guard left >= 0 else { return 1 }
        guard left + 1 < sums.count else { return max(0, 1 - (sums.last ?? 1)) }
        let part = place - Double(left)
        return max(0, 1 - (sums[left] * (1 - part) + sums[left + 1] * part))
    }

    /// ln of the price of rank 0: a low rank's price over its share of the energy.
    func logTotal(_ candidates: [Candidate]) -> Double {
        let known = candidates.compactMap { candidate -> (Int, Double)? in
            switch candidate.format {
            case .lowRank(let rank), .pivotedLowRank(let rank): (rank, candidate.predictedKL)
            default: nil
            }
        }.sorted { $0.0 < $1.0 }
        // In the middle both are known well: neither is lost in the sampling nor in rounding.
        if !known.isEmpty {
            let (rank, price) = known[known.count / 2]
            let share = tail(after: Double(rank) / Double(count))
            if share > 0, price > 0 { return log(price / share) }
        }
        return PriceCurve.logarithm(candidates.map(\.predictedKL).max() ?? 0)
    }
}

/// The features of all matrices of a model.
package struct ModelFeatures: Hashable, Sendable {
    package let source: Fingerprint
    package let matrices: [MatrixFeatures]
    private let byPlace: [MatrixPlace: Int]
    package let layers: Int

    package init(source: Fingerprint, matrices: [MatrixFeatures]) {
        self.source = source
        self.matrices = matrices
        byPlace = Dictionary(
            matrices.enumerated().map { ($1.place, $0) }, uniquingKeysWith: { first, _ in first })
        layers = (matrices.map(\.place.layer).max() ?? -1) + 1
    }

    package subscript(place: MatrixPlace) -> MatrixFeatures? {
        byPlace[place].map { matrices[$0] }
    }

    /// Reads every weight of the map once.
    package init(of map: SensitivityMap, in checkpoint: Checkpoint) throws {
        let loader = WeightLoader(checkpoint, as: .float32, on: .cpu)
        var matrices: [MatrixFeatures] = []
        try withoutGradients {
            for matrix in map.matrices {
                guard let place = MatrixPlace(name: matrix.name) else { continue }
                let weight = try loader.tensor("\(matrix.name).weight")
                matrices.append(try MatrixFeatures(of: matrix, at: place, weight: weight))
            }
        }
        self.init(source: map.source, matrices: matrices)
    }
}
