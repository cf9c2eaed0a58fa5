import ArgumentParser
import Artifacts
import Calibration
import Compress
import Foundation
import Generate
import Models
import TensorNetworks
import Tensors
import Text

struct CompressCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compress",
        abstract: "Replace a model's weight matrices by tensor networks.",
        discussion: """
            Every linear layer of the blocks is replaced by a network of --format with at most --keep of \
            its parameters; embeddings, norms and head stay as they are. The networks are fitted to the \
            layers' outputs on calibration text, without any training. A run that is killed is continued by \
            the same command and ends with the same bytes.

              minima compress Models/tiny --keep 0.65 --output tiny-65
              minima compress Models/tiny --format tensor-train --keep 0.5 --calibration text.txt.xz --output tiny-tt

            Formats: \(Format.Kind.compressing.map(\.rawValue).joined(separator: ", ")).
            """)

    @Argument(help: "Folder of the dense model.", completion: .directory)
    var model: String

    @Option(name: .shortAndLong, help: "Folder to write; it appears when it is complete.")
    var output: String

    @Option(help: "Share of each linear layer's parameters that remains, above 0 and below 1.")
    var keep = 0.65

    @Option(help: "Format of the networks.")
    var format = Format.Kind.pivotedLowRank

    @Option(
        help:
            "Calibration text (.txt, .jsonl, also .xz or .gz). Default: text sampled from the model.",
        completion: .file())
    var calibration: String?

    @Option(help: "Calibration windows at most.")
    var windows = 48

    @Option(
        help: "Tokens per calibration window. Default: 2048, or what the text and the model allow.")
    var window: Int?

    @Option(help: "Seed of the text that is sampled from the model.")
    var seed: UInt64 = 0

    @Option(help: "Shrinkage of the input moments towards a multiple of the identity, from 0 to 1.")
    var shrinkage = 0.01

    @Option(
        help:
            "Share of the dense model's own outputs in what a layer aims at, given what the compressed layers before it hand on, from 0 to 1; 0 fits every layer on the dense model's inputs."
    )
    var anchor = 0.75

    @Flag(help: "Count all outputs of a layer alike, instead of by what they do to the loss.")
    var oneSided = false

    @Flag(help: "Fit the weights alone, without calibration text.")
    var unweighted = false

    @Flag(help: "Replace the output folder if it exists.")
    var overwrite = false

    @Flag(help: "Discard an unfinished run of the same output.")
    var restart = false

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var result: OutputOptions

    func validate() throws {
        guard keep > 0, keep < 1 else {
            throw ValidationError("--keep must be above 0 and below 1")
        }
        guard Format.Kind.compressing.contains(format) else {
            throw ValidationError("--format \(format.rawValue) compresses nothing")
        }
        guard windows >= 1 else { throw ValidationError("--windows must be 1 or more") }
        if let window, window < 1 { throw ValidationError("--window must be 1 or more") }
        guard shrinkage >= 0, shrinkage <= 1 else {
            throw ValidationError("--shrinkage must be from 0 to 1")
        }
        guard anchor >= 0, anchor <= 1 else {
            throw ValidationError("--anchor must be from 0 to 1")
        }
    }

    func run() throws {
        let device = try compute.resolve()
        var settings = CompressionSettings(format: format, keep: keep)
        settings.fit.shrinkage = shrinkage
        settings.fit.isWeighted = !unweighted
        settings.fit.isTwoSided = !oneSided
        settings.fit.anchor = anchor == 0 ? nil : anchor
        settings.seed = seed
        var stage = CompressStage(
            source: model, output: output, settings: settings, calibration: try text(device))
        stage.device = device
        stage.overwrite = overwrite
        stage.restart = restart
        var line: ProgressLine?
        let report = try stage.run { done, total, note in
            let shown =
                line
                ?? ProgressLine(
                    "compress", unit: "steps", total: total, isQuiet: result.quiet || result.json)
            line = shown
            try shown.update(done, note: note)
        }
        line?.finish()
        if result.json { try result.printJSON(report) } else { print(report.table) }
    }

    private func text(_ device: Device) throws -> CalibrationText {
        let configuration = try ModelConfiguration(folder: model)
        guard let calibration else { return sampledText(configuration, device) }
        let tokenizer = try Tokenizer(path: model)
        let length = window ?? min(2_048, configuration.maxPositions)
        var windows = try read(calibration, tokenizer, length: length)
        if windows.isEmpty, window == nil {
            // The text is shorter than one window: all of it is one.
            var stream = try TokenStream(Corpus(path: calibration), tokenizer)
            var all: [Int] = []
            while let tokens = try stream.nextDocument() { all += tokens.map(Int.init) }
            windows = all.isEmpty ? [] : [all]
        }
        guard !windows.isEmpty else { throw CalibrationTooShort(file: calibration, window: length) }
        return .text(windows)
    }

    private func read(_ path: String, _ tokenizer: Tokenizer, length: Int) throws -> [[Int]] {
        var stream = TokenWindows(
            try TokenStream(Corpus(path: path), tokenizer), length: length)
        return try stream.next(windows).map { $0.inputs.map(Int.init) }
    }

    /// Text that the model itself writes.
    private func sampledText(_ configuration: ModelConfiguration, _ device: Device)
        -> CalibrationText
    {
        var sampler = SelfText()
        sampler.sequences = windows
        sampler.length = min(window ?? 512, configuration.maxPositions)
        sampler.seed = seed
        let start = configuration.beginToken ?? configuration.endTokens.first ?? 0
        let origin =
            "sampled: seed \(seed), \(sampler.sequences) windows of \(sampler.length), from token \(start)"
        return .made(origin: origin) {
            let line = ProgressLine(
                "sample calibration text", unit: "tokens", total: sampler.length - 1,
                isQuiet: result.quiet || result.json)
            defer { line.finish() }
            let model = try CausalLanguageModel(
                try Checkpoint(self.model), configuration, as: .float32, on: device)
            return try sampler.sample(from: model, start: start) { try line.update($0) }
        }
    }
}

private struct CalibrationTooShort: Error, CustomStringConvertible {
    let file: String
    let window: Int

    var description: String { "\(file): too short for one calibration window of \(window) tokens" }
}

extension Format.Kind: ExpressibleByArgument {
    /// Those that a matrix can be compressed to.
    static let compressing = allCases.filter { $0 != .dense }
}

extension CompressionReport {
    fileprivate var table: String {
        var rows = matrices.map { matrix in
            (
                matrix.name,
                "\(matrix.format.summary)  \(matrix.parameters.grouped) of \((matrix.rows * matrix.columns).grouped)"
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
