import Artifacts

/// How the matrices of a plan are fitted.
package struct FitSettings: Sendable, Equatable {
    /// Whether the fit minimises the error of the outputs on calibration text, rather than that of the
    /// weights, ‖W − Ŵ‖².
    package var isWeighted = true
    /// Whether errors of the outputs are weighted by what they do to the model's loss, with the output
    /// moments G; else all outputs count alike.
    package var isTwoSided = false
    /// Layers are fitted on what the compressed layers before them hand on. This share of what they aim
    /// at is the dense model's own output, the rest the dense weight's output on those inputs; 1 makes
    /// good all that was lost before and may fit noise of a small calibration text. `nil`: each layer is
    /// fitted on the dense model's inputs alone.
    package var anchor: Double? = 0.75
    /// The input moments are regularised: A ← (1 − α)·A + α·mean(diag A)·I with this α.
    package var shrinkage = 0.01
    /// The same for the output moments.
    package var outputShrinkage = 0.05

    package init() {}

    /// As plans and journals record it.
    var description: [String: JSONValue] {
        guard isWeighted else { return ["weighted": .bool(false)] }
        var description: [String: JSONValue] = [
            "weighted": .bool(true),
            "two_sided": .bool(isTwoSided),
            "anchor": anchor.map { .number($0) } ?? .bool(false),
            "shrinkage": .number(shrinkage),
        ]
        if isTwoSided { description["output_shrinkage"] = .number(outputShrinkage) }
        return description
    }
}
