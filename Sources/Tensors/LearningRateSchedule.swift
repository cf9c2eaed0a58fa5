import Foundation

/// The learning rate of every step, as a share of the largest.
package struct LearningRateSchedule: Sendable, Equatable {
    package enum Shape: String, CaseIterable, Sendable {
        /// Half a cosine from the largest rate to the floor.
        case cosine
        /// Warm-up, stable, decay: the largest rate until the last fifth, which falls in a line to the
        /// floor (Hu et al. 2024, arXiv 2404.06395).
        case wsd
    }

    package let shape: Shape
    package let steps: Int
    /// Steps over which the rate rises in a line to its largest.
    package let warmup: Int
    /// Where it ends.
    package let floor: Double

    /// Of WSD's last phase.
    private static let decayShare = 0.2

    package init(_ shape: Shape, steps: Int, warmup: Int, floor: Double) {
        precondition(steps > 0 && warmup >= 0 && (0...1).contains(floor), "a schedule of \(steps)")
        self.shape = shape
        self.steps = steps
        self.warmup = min(warmup, steps)
        self.floor = floor
    }

    /// - Parameter step: from 0.
    package func share(at step: Int) -> Double {
        if step < warmup { return Double(step + 1) / Double(warmup) }
        switch shape {
        case .cosine:
            let done = Double(step - warmup) / Double(max(1, steps - warmup))
            return floor + (1 - floor) * 0.5 * (1 + cos(Double.pi * min(done, 1)))
        case .wsd:
            let decay = max(1, Int((Self.decayShare * Double(steps)).rounded()))
            let begin = max(warmup, steps - decay)
            guard step >= begin else { return 1 }
            return 1 - (1 - floor) * min(1, Double(step - begin + 1) / Double(steps - begin))
        }
    }
}
