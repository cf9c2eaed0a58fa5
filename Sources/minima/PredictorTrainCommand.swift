import Analyze
import ArgumentParser
import Artifacts
import Foundation

struct PredictorTrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Learn a predictor from the measurements of some models.",
        discussion: """
            The weights are for `minima analyze --predictor`, on models that may never have been measured. \
            Same measurements and seed, same weights.

              minima predictor train --output predictor.safetensors
            """)

    @Option(
        help: "Fingerprints of the models, with commas between them. Default: all of the store.")
    var models: String?

    @Option(
        name: .shortAndLong, help: "Weights to write, as in predictor.safetensors.",
        completion: .file())
    var output: String

    @Option(help: "Seed of the first weights.")
    var seed: UInt64 = 0

    @Flag(help: "Replace the weights if they exist.")
    var overwrite = false

    @OptionGroup var stored: StoreOptions
    @OptionGroup var result: OutputOptions

    func run() throws {
        guard overwrite || !FileManager.default.fileExists(atPath: output) else {
            throw WeightsExist(file: output)
        }
        let store = try stored.open()
        let known = try store.checkpoints()
        let checkpoints = try models.map { try chosen($0, known) } ?? known
        guard !checkpoints.isEmpty else { throw PredictorError.empty(store: store.path) }
        var training = try PredictorTraining(store, checkpoints: checkpoints)
        training.seed = seed
        let (predictor, logError) = try training.run()
        try predictor.write(output)
        let summary = TrainSummary(
            models: checkpoints.map(\.hex), measurements: training.count, logError: logError,
            output: output)
        if result.json { try result.printJSON(summary) } else { print(summary.table) }
    }

    /// Fingerprints may be cut short where they stay unambiguous.
    private func chosen(_ list: String, _ known: [Fingerprint]) throws -> [Fingerprint] {
        try list.split(separator: ",").map { text in
            let matches = known.filter { $0.hex.hasPrefix(text) }
            guard matches.count == 1, let match = matches.first else {
                throw ValidationError(
                    "--models: \(matches.count) of the \(known.count) measured models begin with '\(text)'"
                )
            }
            return match
        }
    }
}

private struct WeightsExist: Error, CustomStringConvertible {
    let file: String

    var description: String { "\(file) exists; choose another output or pass --overwrite" }
}

private struct TrainSummary: Encodable {
    let models: [String]
    let measurements: Int
    let logError: Double
    let output: String

    private enum CodingKeys: String, CodingKey {
        case models, measurements, output
        case logError = "log_error"
    }

    var table: String {
        [
            ("models", models.map { String($0.prefix(12)) }.joined(separator: ", ")),
            ("measurements", measurements.grouped),
            ("ln error held out", String(format: "%.3f", logError)), ("written", output),
        ].aligned
    }
}
