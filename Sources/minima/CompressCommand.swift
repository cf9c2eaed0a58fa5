import Analyze
import ArgumentParser
import Artifacts
import Calibration
import Compress
import Foundation
import TensorNetworks
import Tensors

struct CompressCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compress",
        abstract: "Replace a model's weight matrices by tensor networks.",
        discussion: """
            The model is analysed, the budget is spent where it hurts least, and every matrix that the \
            plan does not leave as it is becomes a network; embeddings, norms and head stay. Networks are \
            fitted block by block on calibration text, to what the dense model does, on the inputs that \
            the compressed layers before them hand on, without any training. A run that is killed is \
            continued by the same command and ends with the same bytes. What the model was observed to \
            do is kept in $MINIMA_CACHE (default ~/.cache/minima) for the next run.

              minima compress Models/tiny --keep 0.65 --output tiny-65
              minima compress Models/tiny --plan plan.json --output tiny-65
              minima compress Models/tiny --keep 0.65 --weights int8 --output tiny-65-int8
              minima compress Models/tiny --plan plan.json --anchor 0 --output tiny-dense-inputs
              minima compress Models/tiny --format tensor-train --keep 0.5 --output tiny-tt

            How the matrices are fitted stands in the plan ("fit"); options that are given override it.

            Formats: \(Format.Kind.compressing.map(\.rawValue).joined(separator: ", ")).
            """)

    @Argument(help: "Folder of the dense model.", completion: .directory)
    var model: String

    @Option(name: .shortAndLong, help: "Folder to write; it appears when it is complete.")
    var output: String

    @Option(
        help:
            "Share of the linear layers' parameters that remains, above 0 and below 1 (default: 0.65)."
    )
    var keep: Double?

    @Option(help: "One format for every matrix, each with --keep of its own parameters.")
    var format: Format.Kind?

    @Option(
        help:
            "Store the values of the linear layers in one byte each, with a scale for each row of a factor: int8 or fp8 (default: the plan's, or else the model's type)."
    )
    var weights: QuantizedType?

    @Option(
        help:
            "How values of one byte are rounded: compensated, each loss made good by the values behind it as GPTQ does, or nearest (default: compensated)."
    )
    var rounding: WeightRounding?

    @Option(help: "Plan to carry out, as `minima plan` writes it.", completion: .file())
    var plan: String?

    @OptionGroup var candidates: CandidateOptions
    @OptionGroup var calibration: CalibrationOptions

    @OptionGroup var fit: FitArguments

    @Flag(help: "Replace the output folder if it exists.")
    var overwrite = false

    @Flag(help: "Discard an unfinished run of the same output.")
    var restart = false

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var result: OutputOptions

    func validate() throws {
        if let keep, !(keep > 0 && keep < 1) {
            throw ValidationError("--keep must be above 0 and below 1")
        }
        if let format, !Format.Kind.compressing.contains(format) {
            throw ValidationError("--format \(format.rawValue) compresses nothing")
        }
        if plan != nil, keep != nil || format != nil {
            throw ValidationError("--plan says what --keep and --format would")
        }
        if fit.unweighted, format == nil, plan == nil {
            throw ValidationError(
                "--unweighted needs --format or --plan: without text nothing is analysed")
        }
    }

    func run() throws {
        let report = try made()
        if result.json { try result.printJSON(report) } else { print(report.table) }
    }

    /// Compresses, or goes on with it.
    func made() throws -> CompressionReport {
        let device = try compute.resolve()
        let isQuiet = result.quiet || result.json
        let plan = try plan.map { try CompressionPlan.read($0) }
        let fit = try fit.applied(to: plan?.fit ?? FitSettings())
        let text =
            fit.readsText || (plan == nil && format == nil)
            ? try calibration.text(for: model, on: device, isQuiet: isQuiet)
            : CalibrationText.text([])
        var settings = CompressionSettings(
            try plan.map { .plan($0) } ?? goal(text, fit, device, isQuiet: isQuiet))
        settings.fit = fit
        settings.weights = weights?.elementType
        if let rounding { settings.rounding = rounding }
        settings.seed = calibration.seed
        var stage = CompressStage(
            source: model, output: output, settings: settings, calibration: text)
        stage.device = device
        stage.overwrite = overwrite
        stage.restart = restart
        let line = ProgressLine("compress", unit: "steps", total: nil, isQuiet: isQuiet)
        let report = try stage.run { try line.update($0, of: $1, note: $2) }
        line.finish()
        return report
    }

    private func goal(
        _ text: CalibrationText, _ fit: FitSettings, _ device: Device, isQuiet: Bool
    ) throws -> CompressionSettings.Goal {
        let keep = keep ?? 0.65
        if let format { return .uniform(format, keep: keep) }
        var stage = AnalyzeStage(source: model, calibration: text)
        stage.shrinkage = fit.shrinkage
        stage.formats = candidates.formats
        stage.seed = calibration.seed
        stage.device = device
        let map = try AnalyzeCommand.run(stage, isQuiet: isQuiet)
        return .plan(try Planner(map, within: .keep(keep)).propose().plan)
    }
}

extension WeightRounding: ExpressibleByArgument {}

extension Format.Kind: ExpressibleByArgument {
    /// Those that a matrix can be compressed to.
    static let compressing = allCases.filter { $0 != .dense }
}

extension CompressionReport {
    var table: String {
        var rows = matrices.map { matrix in
            (
                matrix.name,
                "\(matrix.formats.map(\.summary).joined(separator: " | "))  \(matrix.parameters.grouped) of \((matrix.rows * matrix.columns).grouped)"
                    + String(format: "  error %.4f", matrix.relativeError)
            )
        }
        let share = Double(linearParametersAfter) / Double(linearParametersBefore)
        rows.append(
            (
                "linear layers",
                "\(linearParametersAfter.grouped) of \(linearParametersBefore.grouped) parameters"
                    + String(format: " (%.3f)", share)
            ))
        rows.append(("bytes", "\(bytesAfter.grouped) of \(bytesBefore.grouped)"))
        rows.append(("calibration", "\(calibrationTokens.grouped) tokens"))
        rows.append(("time", String(format: "%.1f s", seconds)))
        rows.append(("written", output))
        return rows.aligned
    }
}
