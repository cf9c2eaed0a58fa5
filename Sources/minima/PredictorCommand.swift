import Analyze
import ArgumentParser
import Artifacts
import Calibration
import Foundation
import TensorNetworks

struct PredictorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "predictor",
        abstract: "Measure what compression costs, and learn to predict it.",
        discussion: """
            `minima analyze` measures a few candidates of a model and predicts the others from them. These \
            commands measure more than that, learn a predictor from measurements of several models, and \
            say how good predictions are. Measurements are kept in $MINIMA_CACHE/measurements.sqlite.
            """,
        subcommands: [
            PredictorMeasureCommand.self, PredictorTrainCommand.self, PredictorEvaluateCommand.self,
        ])
}

/// Where measurements are kept.
struct StoreOptions: ParsableArguments {
    @Option(
        help: "Measurement store. Default: measurements.sqlite in $MINIMA_CACHE.",
        completion: .file())
    var store: String?

    func open() throws -> MeasurementStore {
        try MeasurementStore(store ?? MeasurementStore.path(in: MomentCache.defaultRoot))
    }
}

/// What was or is to be measured of a model.
struct MeasuredOptions: ParsableArguments {
    @Option(help: "Shares of each matrix's parameters to keep, between 0 and 1.")
    var shares: [Double] = [0.25, 0.35, 0.5, 0.65, 0.8, 0.9]

    @Option(help: "Tokens that each probe reads.")
    var tokens = ProbeText.defaultTokens

    @OptionGroup var stored: StoreOptions
    @OptionGroup var calibration: CalibrationOptions
    @OptionGroup var compute: ComputeOptions

    func validate() throws {
        guard !shares.isEmpty, shares.allSatisfy({ $0 > 0 && $0 < 1 }) else {
            throw ValidationError("--shares must be between 0 and 1")
        }
        guard tokens >= 1 else { throw ValidationError("--tokens must be 1 or more") }
    }

    /// Analyses the model, which is quick where that was done before.
    /// - Parameter formats: to measure beside pivoted low rank.
    func stage(
        of model: String, formats: [Format.Kind] = [], isQuiet: Bool
    ) throws -> (stage: ProbeStage, sample: [Probe]) {
        let store = try stored.open()
        let device = try compute.resolve()
        var analysis = AnalyzeStage(
            source: model,
            calibration: try calibration.text(for: model, on: device, isQuiet: isQuiet))
        analysis.formats = formats
        analysis.seed = calibration.seed
        analysis.device = device
        let map = try AnalyzeCommand.run(analysis, isQuiet: isQuiet)
        var stage = ProbeStage(analysis, map: map, store: store)
        stage.tokens = tokens
        stage.program = Minima.program
        return (stage, ProbeSample.complete(map, shares: shares, ofEveryFamily: true))
    }
}

struct PredictorMeasureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "measure",
        abstract: "Measure every matrix of a model at several sizes.",
        discussion: """
            What predictions are judged by. Every measurement is committed when it is made: a run that is \
            killed goes on where it was.

              minima predictor measure Models/tiny --calibration text.txt.xz
              minima predictor measure Models/tiny --candidates pivoted-low-rank,mixture -o map.json
              minima compare Models/tiny --methods oracle,minima --oracle-map map.json …
            """)

    @Argument(help: "Folder of the dense model.", completion: .directory)
    var model: String

    @Option(
        name: .shortAndLong,
        help: "Sensitivity map to write, with what was measured in it.", completion: .file())
    var output: String?

    @Option(
        help: ArgumentHelp(
            "Formats to measure, separated by commas; pivoted-low-rank must be among them.",
            valueName: "formats"))
    var candidates = FormatList(formats: [.pivotedLowRank])

    @Flag(help: "Replace the map if it exists.")
    var overwrite = false

    @OptionGroup var measured: MeasuredOptions
    @OptionGroup var result: OutputOptions

    func validate() throws { try CandidateOptions.validate(candidates) }

    func run() throws {
        if let output, !overwrite, FileManager.default.fileExists(atPath: output) {
            throw MapExists(file: output)
        }
        let isQuiet = result.quiet || result.json
        let (stage, sample) = try measured.stage(
            of: model, formats: candidates.formats.filter { $0 != .pivotedLowRank },
            isQuiet: isQuiet)
        let measurements = try stage.run(sample, isQuiet: isQuiet)
        if let output { try stage.map.measured(measurements).write(output) }
        let summary = MeasureSummary(
            model: model, checkpoint: stage.map.source.hex, store: stage.store.path,
            measurements: measurements.count, tokens: measurements.first?.tokens ?? 0)
        if result.json { try result.printJSON(summary) } else { print(summary.table) }
    }
}

extension ProbeStage {
    /// Runs the probes under a progress line.
    func run(_ sample: [Probe], isQuiet: Bool) throws -> [ProbeMeasurement] {
        let line = ProgressLine("probe", unit: "probes", total: sample.count, isQuiet: isQuiet)
        defer { line.finish() }
        return try run(sample) { done, _, note in try line.update(done, note: note) }
    }
}

private struct MeasureSummary: Encodable {
    let model: String
    let checkpoint: String
    let store: String
    let measurements: Int
    let tokens: Int

    var table: String {
        [
            ("model", model), ("checkpoint", checkpoint), ("store", store),
            ("measurements", "\(measurements) of \(tokens.grouped) tokens each"),
        ].aligned
    }
}
