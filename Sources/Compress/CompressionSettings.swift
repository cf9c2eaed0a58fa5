import Artifacts
import TensorNetworks
import Tensors

/// What a compression is asked for; its result's plan says how it was fitted.
package struct CompressionSettings: Sendable {
    /// Which format every matrix takes.
    package enum Goal: Sendable {
        /// The same format, with this share of each linear layer's parameters.
        case uniform(Format.Kind, keep: Double)
        /// As a plan says that was made for this very checkpoint.
        case plan(CompressionPlan)
    }

    package var goal: Goal
    /// At first what the plan says.
    package var fit: FitSettings
    /// What values are quantised to, one byte each; `nil` leaves the types of the plan.
    package var weights: ElementType?
    /// How they are rounded, where they are quantised.
    package var rounding = WeightRounding.compensated
    /// Seed of what is drawn at random: the labels of the output moments.
    package var seed: UInt64 = 0

    package init(_ goal: Goal) {
        self.goal = goal
        if case .plan(let plan) = goal, let fit = plan.fit {
            self.fit = fit
        } else {
            fit = FitSettings()
        }
    }

    package init(format: Format.Kind, keep: Double) {
        self.init(.uniform(format, keep: keep))
    }
}
