import ArgumentParser
import Calibration
import Compress
import TensorNetworks

struct QuantizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quantize",
        abstract: "Store the values of a model's linear layers in one byte each.",
        discussion: """
            Formats stay as they are: factors and dense matrices get int8 or fp8 (e4m3) values and a \
            float32 scale for each row; embeddings, norms and head stay. What rounding loses is made good \
            by GPTQ on calibration text, that of a pair by its second factor too. Values of one byte \
            cannot be trained, so this comes after `minima heal`; `minima compress --weights` quantises as \
            it fits, and lets the layers behind make good what is lost.

              minima quantize healed --weights int8 --calibration text.txt --output healed-int8
            """)

    @Argument(help: "Folder of the model, compressed or dense.", completion: .directory)
    var model: String

    @Option(help: "What the values become: int8 or fp8.")
    var weights: QuantizedType

    @Option(name: .shortAndLong, help: "Folder to write; it appears when it is complete.")
    var output: String

    @Option(
        help:
            "How values are rounded: compensated, as GPTQ does on calibration text, or nearest, without text (default: compensated)."
    )
    var rounding = WeightRounding.compensated

    @OptionGroup var calibration: CalibrationOptions

    @Flag(help: "Replace the output folder if it exists.")
    var overwrite = false

    @Flag(help: "Discard what an unfinished run has left, instead of going on with it.")
    var restart = false

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var result: OutputOptions

    func run() throws {
        let device = try compute.resolve()
        let isQuiet = result.quiet || result.json
        let text =
            rounding == .compensated
            ? try calibration.text(for: model, on: device, isQuiet: isQuiet)
            : CalibrationText.text([])
        var stage = QuantizeStage(
            source: model, output: output, weights: weights.elementType, rounding: rounding,
            calibration: text)
        stage.device = device
        stage.overwrite = overwrite
        stage.restart = restart
        let line = ProgressLine("quantize", unit: "steps", total: nil, isQuiet: isQuiet)
        let report = try stage.run { try line.update($0, of: $1, note: $2) }
        line.finish()
        if result.json { try result.printJSON(report) } else { print(report.table) }
    }
}
