import Artifacts
import TensorNetworks

/// What a compression is asked for.
package struct CompressionSettings: Sendable {
    /// Which format every matrix takes.
    package enum Goal: Sendable {
        /// The same format, with this share of each linear layer's parameters.
        case uniform(Format.Kind, keep: Double)
        /// As a plan says that was made for this very checkpoint.
        case plan(CompressionPlan)
    }

    package var goal: Goal
    package var fit = FitSettings()
    /// Seed of what is drawn at random: the labels of the output moments.
    package var seed: UInt64 = 0

    package init(_ goal: Goal) { self.goal = goal }

    package init(format: Format.Kind, keep: Double) {
        self.init(.uniform(format, keep: keep))
    }
}
