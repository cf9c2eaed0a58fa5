import Foundation

/// Where on an axis a number stands.
struct Scale: Sendable {
    enum Kind: Sendable { case linear, logarithmic }

    let kind: Kind
    /// From the axis' beginning to its end.
    let domain: ClosedRange<Double>
    /// The same two ends in the drawing; the second may be the smaller one.
    let range: (Double, Double)

    /// - Parameter domain: above 0 for a logarithmic scale; an empty one is widened.
    init(_ kind: Kind, _ domain: ClosedRange<Double>, to range: (Double, Double)) {
        precondition(kind == .linear || domain.lowerBound > 0, "a logarithm of \(domain)")
        self.kind = kind
        self.range = range
        if domain.lowerBound < domain.upperBound {
            self.domain = domain
        } else {
            let value = domain.lowerBound
            let padding = value == 0 ? 1 : abs(value) / 2
            self.domain =
                kind == .linear
                ? value - padding...value + padding
                : value / 2...min(value * 2, .greatestFiniteMagnitude)
        }
    }

    /// Around `values`, which need not be positive or even finite: those that a logarithm does not
    /// reach are left out here and drawn at the edge.
    /// - Parameter decades: the longest logarithmic axis; smaller values are drawn at its beginning.
    /// - Returns: `nil` where no value can be shown.
    static func logarithmic(
        _ values: [Double], decades: Double = 12, to range: (Double, Double)
    ) -> Scale? {
        let shown = values.filter { $0 >= .leastNormalMagnitude && $0.isFinite }
        guard let most = shown.max(), let least = shown.min() else { return nil }
        let floor = max(least, max(most * pow(10, -decades), .leastNormalMagnitude))
        return Scale(.logarithmic, floor...most, to: range)
    }

    /// The place of a value; one outside the domain stands at the nearer end.
    func position(_ value: Double) -> Double {
        range.0 + (range.1 - range.0) * share(value)
    }

    private func share(_ value: Double) -> Double {
        let value = min(max(value, domain.lowerBound), domain.upperBound)
        switch kind {
        case .linear:
            return (value - domain.lowerBound) / (domain.upperBound - domain.lowerBound)
        case .logarithmic:
            return log(value / domain.lowerBound) / log(domain.upperBound / domain.lowerBound)
        }
    }

    /// The same scale with more room at both ends, as a share of its length.
    func padded(_ share: Double) -> Scale {
        let (low, high) = (domain.lowerBound, domain.upperBound)
        switch kind {
        case .linear:
            let room = (high - low) * share
            return Scale(kind, low - room...high + room, to: range)
        case .logarithmic:
            let room = pow(high / low, share)
            let least = max(low / room, .leastNormalMagnitude)
            return Scale(kind, least...max(least, min(high * room, 1e300)), to: range)
        }
    }
}
