import ArgumentParser
import Artifacts

/// How matrices are fitted; what is not given stays as the plan, or else the default, has it.
struct FitArguments: ParsableArguments {
    @Option(
        help:
            "Norm of a layer's inputs in which errors count: none (the weights alone, no text), diagonal (input channels scaled, as ASVD does), full (default: full)."
    )
    var metric: FitSettings.InputMetric?

    @Option(
        help:
            "Shrinkage of the input moments towards a multiple of the identity, from 0 to 1 (default: 0.01)."
    )
    var shrinkage: Double?

    @Option(
        help:
            "Share of the dense model's own outputs in what a layer aims at, given what the compressed layers before it hand on, from 0 to 1; 0 fits every layer on the dense model's inputs (default: 0.75)."
    )
    var anchor: Double?

    @Flag(
        help:
            "Count outputs of a layer by what they do to the loss (default), or all of them alike.")
    var sides: Sides?

    @Flag(help: "Fit the weights alone, without calibration text: --metric none --one-sided.")
    var unweighted = false

    @Flag(
        inversion: .prefixedNo,
        help: ArgumentHelp(
            "Train each block after it is fitted, towards what the dense model's returns (default: off). Steps of AdamW on the calibration text; on a GPU seconds a block."
        ))
    var refine: Bool?

    @Option(help: "Steps of --refine for each block (default: 200).")
    var refineSteps: Int?

    @Option(help: "Highest learning rate of --refine (default: 1e-4).")
    var refineRate: Double?

    @Option(help: "Calibration windows in a step of --refine (default: 8).")
    var refineWindows: Int?

    enum Sides: EnumerableFlag {
        case twoSided, oneSided
    }

    func validate() throws {
        if let shrinkage, !(0...1).contains(shrinkage) {
            throw ValidationError("--shrinkage must be from 0 to 1")
        }
        if let anchor, !(0...1).contains(anchor) {
            throw ValidationError("--anchor must be from 0 to 1")
        }
        if unweighted, metric ?? .weights != .weights || sides == .twoSided {
            throw ValidationError("--unweighted says what --metric and --two-sided would")
        }
        if refine != true, refineSteps != nil || refineRate != nil || refineWindows != nil {
            throw ValidationError(
                "--refine-steps, --refine-rate and --refine-windows need --refine")
        }
        if let anchor, anchor > 0, unweighted || metric ?? .full != .full {
            throw ValidationError("--anchor needs --metric full")
        }
    }

    func applied(to given: FitSettings) throws -> FitSettings {
        var fit = given
        if let shrinkage { fit.shrinkage = shrinkage }
        if let sides { fit.isTwoSided = sides == .twoSided }
        if let anchor { fit.anchor = anchor > 0 ? anchor : nil }
        if unweighted {
            fit.metric = .weights
            fit.isTwoSided = false
        }
        if let metric { fit.metric = metric }
        // Another metric given explicitly is a wish for fits without an anchor.
        if fit.metric != .full, metric != nil || unweighted { fit.anchor = nil }
        if let refine {
            fit.refinement = refine ? fit.refinement ?? FitSettings.Refinement() : nil
        }
        if let refineSteps { fit.refinement?.steps = refineSteps }
        if let refineRate { fit.refinement?.learningRate = refineRate }
        if let refineWindows { fit.refinement?.windowsPerStep = refineWindows }
        try fit.validate()
        return fit
    }
}

extension FitSettings.InputMetric: ExpressibleByArgument {}
