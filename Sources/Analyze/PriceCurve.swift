import Artifacts
import Foundation
import TensorNetworks

/// The second-order price of a matrix as a function of the share of its parameters that remains, at
/// fixed shares: what matrices of different sizes can be compared by.
enum PriceCurve {
    /// Shares at which a curve is sampled.
    static let shares = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    /// In nats per token: below it a divergence is lost in float32's rounding of the logits.
    static let floor = 1e-9

    /// ln of a divergence or price.
    static func logarithm(_ divergence: Double) -> Double { log(max(divergence, floor)) }

    /// ln price at `shares`, of the family of which most candidates are known.
    static func sampled(_ matrix: MatrixSensitivity) -> [Double] {
        let families = Dictionary(grouping: matrix.candidates, by: \.format.kind)
        let largest = families.max {
            ($0.value.count, $1.key.rawValue) < ($1.value.count, $0.key.rawValue)
        }
        let dense = Double(matrix.rows * matrix.columns)
        let points = (largest?.value ?? []).map {
            (Double($0.parameters) / dense, logarithm($0.predictedKL))
        }.sorted { $0.0 < $1.0 }
        return shares.map { value(at: $0, of: points) }
    }

    /// ln price at a share, from a sampled curve.
    static func value(at share: Double, of curve: [Double]) -> Double {
        value(at: share, of: Array(zip(shares, curve)))
    }

    /// Linear between points of ascending shares, constant beyond them.
    private static func value(at share: Double, of points: [(Double, Double)]) -> Double {
        guard let first = points.first, let last = points.last else { return logarithm(0) }
        if share <= first.0 { return first.1 }
        if share >= last.0 { return last.1 }
        guard let next = points.firstIndex(where: { $0.0 >= share }), next > 0 else {
            return first.1
        }
        let (left, right) = (points[next - 1], points[next])
        guard right.0 > left.0 else { return right.1 }
        let part = (share - left.0) / (right.0 - left.0)
        return left.1 + part * (right.1 - left.1)
    }
}
