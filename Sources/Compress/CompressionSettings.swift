import Artifacts
import TensorNetworks

/// What a uniform compression is asked for.
package struct CompressionSettings: Sendable, Equatable {
    /// The format of every linear layer of the blocks.
    package var format: Format.Kind
    /// Share of each linear layer's parameters that remains.
    package var keep: Double
    /// The input moments are regularised: A ← (1 − α)·A + α·mean(diag A)·I with this α.
    package var shrinkage = 0.01
    /// Whether the fit minimises the error of the outputs on calibration text, E‖(W − Ŵ)x‖², rather
    /// than that of the weights, ‖W − Ŵ‖².
    package var isWeighted = true

    package init(format: Format.Kind, keep: Double) {
        self.format = format
        self.keep = keep
    }

    /// As plans and journals record it.
    var description: [String: JSONValue] {
        [
            "planner": .string("uniform"),
            "format": .string(format.rawValue),
            "keep": .number(keep),
            "shrinkage": .number(shrinkage),
            "weighted": .bool(isWeighted),
        ]
    }
}
