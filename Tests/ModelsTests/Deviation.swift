import Artifacts
import Tensors

/// max |a − b| / max |b|; infinite where shapes differ or a value is not finite.
func largestDeviation(_ a: Tensor, _ b: Tensor) throws -> Double {
    guard a.shape == b.shape, try a.finite().all().scalar() == 1 else { return .infinity }
    let (a, b) = (try a.converted(to: .float64), try b.converted(to: .float64))
    return try (a - b).magnitude().max().scalar() / b.magnitude().max().scalar()
}

/// ‖a − b‖ / ‖b‖.
func relativeDistance(_ a: Tensor, _ b: Tensor) throws -> Double {
    guard a.shape == b.shape else { return .infinity }
    let (a, b) = (try a.converted(to: .float64), try b.converted(to: .float64))
    return try (a - b).norm().scalar() / b.norm().scalar()
}

extension ModelConfiguration {
    /// How far logits of two correct float32 passes may be apart, relative to the largest: each of the
    /// 2·layers sublayers and the head ends in dot products of at most `width` terms, whose independent
    /// rounding errors add up like √width; eight standard deviations over some 10⁶ logits.
    var reorderingBound: Double {
        let width = Double(max(hiddenSize, intermediateSize, queryWidth))
        return 8 * (Double(2 * layerCount + 1) * width).squareRoot() * ElementType.float32.roundoff
    }
}
