/// How the matrices of a plan are fitted: `"fit"` in `plan.json`, in which every key but `anchor` and `refine` stands.
package struct FitSettings: Codable, Hashable, Sendable {
    /// In which norm of a layer's inputs errors are measured.
    package enum InputMetric: String, CaseIterable, Codable, Sendable {
        /// The weights', ‖W − Ŵ‖²: no text is needed.
        case weights = "none"
        /// ‖(W − Ŵ)·S‖² with S = diag((E[x²])^¼): every input channel scaled by the root of its
        /// magnitude. ASVD (arXiv 2312.05821) takes (mean |x|)^½, which for channels of like distribution
        /// is the same up to a factor.
        case diagonal
        /// The outputs' on calibration text, E‖(W − Ŵ)x‖².
        case full
    }

    package var metric = InputMetric.full
    /// Whether errors of the outputs are weighted by what they do to the model's loss, with the output
    /// moments G; else all outputs count alike.
    package var isTwoSided = true
    /// Layers are fitted on what the compressed layers before them hand on. This share of what they aim
    /// at is the dense model's own output, the rest the dense weight's output on those inputs; 1 makes
    /// good all that was lost before and may fit noise of a small calibration text. `nil`: each layer is
    /// fitted on the dense model's inputs alone.
    package var anchor: Double? = 0.75
    /// The input moments are regularised: A ← (1 − α)·A + α·mean(diag A)·I with this α.
    package var shrinkage = 0.01
    /// The same for the output moments.
    package var outputShrinkage = 0.05

    /// Each block is trained after it is fitted; `nil`: it stays as fitted.
    package var refinement: Refinement?

    /// How a block's networks, norms and biases are trained towards the dense block's output.
    package struct Refinement: Codable, Hashable, Sendable {
        /// Of AdamW.
        package var steps = 200
        /// At its highest; it warms up over a tenth of the steps and falls to a tenth of itself.
        package var learningRate = 1e-4
        /// Calibration windows whose gradients a step sums.
        package var windowsPerStep = 8

        package init() {}

        private enum CodingKeys: String, CodingKey {
            case steps
            case learningRate = "learning_rate"
            case windowsPerStep = "windows_per_step"
        }
    }

    /// What `minima compress` does.
    package init() {}

    /// Every layer on the dense model's inputs.
    /// - Parameters:
    ///   - metric: `weights` looks at no inputs.
    package static func unanchored(
        _ metric: InputMetric, isTwoSided: Bool = false, shrinkage: Double = 0.01
    ) -> FitSettings {
        var fit = FitSettings()
        fit.metric = metric
        fit.isTwoSided = isTwoSided
        fit.anchor = nil
        fit.shrinkage = shrinkage
        return fit
    }

    private enum CodingKeys: String, CodingKey {
        case metric, anchor, shrinkage
        case isTwoSided = "two_sided"
        case outputShrinkage = "output_shrinkage"
        case refinement = "refine"
    }

    /// Whether any calibration text is looked at.
    package var readsText: Bool { metric != .weights || isTwoSided }

    /// Checks that the settings go together.
    package func validate() throws(ManifestError) {
        if let anchor {
            guard anchor > 0, anchor <= 1 else {
                throw .setting("anchor", "is \(anchor), not above 0 and at most 1")
            }
            guard metric == .full else {
                throw .setting(
                    "anchor", "needs metric full: what other metrics measure is the dense model's")
            }
        }
        if let refinement {
            guard anchor != nil else {
                throw .setting(
                    "refine", "needs an anchor: what a block aims at is the dense model's")
            }
            guard (1...1_000_000).contains(refinement.steps) else {
                throw .setting("refine.steps", "is \(refinement.steps), not from 1 to 1,000,000")
            }
            guard (1...65_536).contains(refinement.windowsPerStep) else {
                throw .setting(
                    "refine.windows_per_step",
                    "is \(refinement.windowsPerStep), not from 1 to 65,536")
            }
            guard refinement.learningRate > 0, refinement.learningRate <= 1 else {
                throw .setting(
                    "refine.learning_rate",
                    "is \(refinement.learningRate), not above 0 and at most 1")
            }
        }
        for (key, value) in [("shrinkage", shrinkage), ("output_shrinkage", outputShrinkage)] {
            guard (0...1).contains(value) else {
                throw .setting(key, "is \(value), not from 0 to 1")
            }
        }
    }

    /// As journals and comparisons record it: what has no effect is left out.
    package var description: [String: JSONValue] {
        var description: [String: JSONValue] = [
            "metric": .string(metric.rawValue), "two_sided": .bool(isTwoSided),
            "anchor": anchor.map { .number($0) } ?? .bool(false),
        ]
        if let refinement {
            description["refine"] = .object([
                "steps": .integer(refinement.steps),
                "learning_rate": .number(refinement.learningRate),
                "windows_per_step": .integer(refinement.windowsPerStep),
            ])
        }
        if metric != .weights { description["shrinkage"] = .number(shrinkage) }
        if isTwoSided { description["output_shrinkage"] = .number(outputShrinkage) }
        return description
    }
}
