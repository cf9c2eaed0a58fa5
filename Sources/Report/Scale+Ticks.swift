import Foundation

extension Scale {
    struct Tick: Hashable {
        let value: Double
        let label: String
    }

    /// About `count` round numbers within the domain.
    func ticks(_ count: Int = 5) -> [Tick] {
        precondition(count > 0, "an axis of \(count) ticks")
        switch kind {
        case .linear: return linearTicks(count)
        case .logarithmic: return logarithmicTicks(count)
        }
    }

    /// Multiples of 1, 2 or 5 times a power of ten.
    private func linearTicks(_ count: Int) -> [Tick] {
        let rough = (domain.upperBound - domain.lowerBound) / Double(count)
        let power = pow(10, log10(rough).rounded(.down))
        let step = [1, 2, 5, 10].map { $0 * power }.first { $0 >= rough * 0.999 } ?? 10 * power
        let decimals = max(0, -Int((log10(step) + 1e-9).rounded(.down)))
        // An end that is a tick up to rounding is one.
        let first = (domain.lowerBound / step - 1e-9).rounded(.up)
        let last = (domain.upperBound / step + 1e-9).rounded(.down)
        guard first <= last else { return [] }
        return stride(from: first, through: last, by: 1).map { multiple in
            let value = multiple * step + 0  // no negative zero
            return Tick(
                value: value,
                label: abs(value) >= 1e5
                    ? NumberText.short(value)
                    : String(format: "%.\(decimals)f", value).replacing("-", with: "−"))
        }
    }

    /// Powers of ten, every so many where there are too many, with 2 and 5 between where there are
    /// too few.
    private func logarithmicTicks(_ count: Int) -> [Tick] {
        let first = Int((log10(domain.lowerBound) + 1e-9).rounded(.down))
        let last = Int((log10(domain.upperBound) - 1e-9).rounded(.up))
        let decades = log10(domain.upperBound / domain.lowerBound)
        let mantissas: [Double] =
            decades < 1.2 ? [1, 2, 3, 5, 7] : decades < 2.5 ? [1, 2, 5] : [1]
        let every = max(1, Int((decades / Double(count)).rounded(.up)))
        let reach = domain.lowerBound * (1 - 1e-9)...domain.upperBound * (1 + 1e-9)
        return (first...max(first, last)).filter { $0 % every == 0 }.flatMap { exponent in
            mantissas.map { $0 * pow(10, Double(exponent)) }
        }
        .filter(reach.contains)
        .map { Tick(value: $0, label: NumberText.power($0)) }
    }
}
