import ArgumentParser
import Artifacts
import Compare
import Foundation
import Tensors

struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Measure every method at every budget on one model, without healing.",
        discussion: """
            Every method is a plan and a way to fit it; this one program compresses to each, counts what is \
            stored, and measures it against the dense model. --output holds one JSON file per method and \
            budget, written when it is complete: a run that is killed goes on where it was, and several \
            processes can fill one folder with different --methods. A folder holds entries of one \
            checkpoint, calibration and choice of texts; others are refused.

              minima compare Models/tiny --calibration train.txt.xz --text Examples/evaluation.txt \\
                --output comparison
              minima compare Models/tiny --methods svd-llm,minima --keep 0.65 --calibration train.txt.xz \\
                --text valid.txt wiki.txt --output comparison

            Methods:
            \(ComparedMethod.all.map { "  \($0.rawValue): \($0.summary)" }.joined(separator: "\n"))
            """)

    @Argument(help: "Folder of the dense model.", completion: .directory)
    var model: String

    @Option(name: .shortAndLong, help: "Folder of the entries.", completion: .directory)
    var output: String

    @Option(help: "Budgets: shares of the linear layers' parameters that remain, with commas.")
    var keep = CommaSeparated([0.8, 0.65, 0.5])

    @Option(help: "Methods, with commas. Default: all.")
    var methods = CommaSeparated(ComparedMethod.all)

    @Option(
        parsing: .upToNextOption, help: "Files of text to measure on; at least one.",
        completion: .file())
    var text: [String]

    @Option(help: "Windows of each text at most. Default: all.")
    var textWindows: Int?

    @Option(help: "Inputs per window of the texts.")
    var textWindow = 2_048

    @OptionGroup var calibration: CalibrationOptions

    @Option(help: "Sensitivity map with measured divergences, for oracle.", completion: .file())
    var oracleMap: String?

    @Flag(help: "Measure again what is there.")
    var overwrite = false

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var result: OutputOptions

    func validate() throws {
        if text.isEmpty { throw ValidationError("--text needs at least one file") }
        if let value = keep.values.first(where: { !($0 > 0 && $0 < 1) }) {
            throw ValidationError("--keep must be above 0 and below 1, not \(value)")
        }
        if let textWindows, textWindows < 1 {
            throw ValidationError("--text-windows must be 1 or more")
        }
        if textWindow < 1 { throw ValidationError("--text-window must be 1 or more") }
    }

    func run() throws {
        let device = try compute.resolve()
        let isQuiet = result.quiet || result.json
        let windows = try calibration.text(for: model, on: device, isQuiet: isQuiet).windows()
        var stage = CompareStage(
            source: model, output: output, calibration: windows, texts: text)
        stage.methods = methods.values
        stage.keeps = keep.values
        stage.seed = calibration.seed
        (stage.textWindow, stage.textWindows) = (textWindow, textWindows)
        stage.oracle = try oracleMap.map { try SensitivityMap.read($0) }
        (stage.device, stage.overwrite) = (device, overwrite)
        var shown: (task: String, line: ProgressLine)?
        let found = try stage.run { task, done, total, note in
            if shown?.task != task {
                shown?.line.finish()
                shown = (
                    task, ProgressLine(task, unit: "steps", total: total, isQuiet: isQuiet)
                )
            }
            try shown?.line.update(done, note: note)
        }
        shown?.line.finish()
        if result.json {
            try result.printJSON(Output(entries: found.entries, skipped: found.skipped))
        } else {
            print(ComparisonTable(found).text)
        }
    }

    private struct Output: Encodable {
        let entries: [ComparisonEntry]
        let skipped: [CompareStage.Skipped]
    }
}

/// Values with commas between them, each once.
struct CommaSeparated<Value: ExpressibleByArgument & Hashable>: ExpressibleByArgument {
    let values: [Value]

    init(_ values: [Value]) { self.values = values }

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
        let values = parts.compactMap { Value(argument: String($0)) }
        guard values.count == parts.count, Set(values).count == values.count else { return nil }
        self.values = values
    }

    var defaultValueDescription: String {
        values.map(\.defaultValueDescription).joined(separator: ",")
    }
}

extension ComparedMethod: ExpressibleByArgument {
    package init?(argument: String) { self.init(rawValue: argument) }

    package var defaultValueDescription: String { rawValue }
}
