import ArgumentParser
import Artifacts
import Calibration
import Foundation
import Generate
import Models
import Tensors
import Text

/// The text that a model's layers are observed on.
struct CalibrationOptions: ParsableArguments {
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

    @Option(help: "Seed of what is drawn from the model: calibration text and labels.")
    var seed: UInt64 = 0

    func validate() throws {
        guard windows >= 1 else { throw ValidationError("--windows must be 1 or more") }
        if let window, window < 1 { throw ValidationError("--window must be 1 or more") }
    }

    /// The windows; those sampled from the model are kept for the next command that wants them.
    func text(for model: String, on device: Device, isQuiet: Bool) throws -> CalibrationText {
        let configuration = try ModelConfiguration(folder: model)
        guard let calibration else {
            let sampled = sampledText(model, configuration, device, isQuiet: isQuiet)
            let source = try Checkpoint(model).fingerprint()
            return .text(try sampled.windows(of: source, keptIn: MomentCache.defaultRoot))
        }
        let length = window ?? min(2_048, configuration.maxPositions)
        var windows = try Self.windows(of: calibration, for: model, length: length, most: windows)
        if windows.isEmpty, window == nil {
            // The text is shorter than one window: all of it is one.
            let tokenizer = try Tokenizer(path: model)
            var stream = try TokenStream(Corpus(path: calibration), tokenizer)
            var all: [Int] = []
            while let tokens = try stream.nextDocument() { all += tokens.map(Int.init) }
            windows = all.isEmpty ? [] : [all]
        }
        guard !windows.isEmpty else { throw CalibrationTooShort(file: calibration, window: length) }
        return .text(windows)
    }

    /// A text's first whole windows.
    static func windows(
        of path: String, for model: String, length: Int, most: Int
    ) throws -> [[Int]] {
        var stream = TokenWindows(
            try TokenStream(Corpus(path: path), Tokenizer(path: model)), length: length)
        return try stream.next(most).map { $0.inputs.map(Int.init) }
    }

    /// Text that the model itself writes.
    private func sampledText(
        _ model: String, _ configuration: ModelConfiguration, _ device: Device, isQuiet: Bool
    ) -> CalibrationText {
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
                isQuiet: isQuiet)
            defer { line.finish() }
            let loaded = try CausalLanguageModel(
                try Checkpoint(model), configuration, as: .float32, on: device)
            return try sampler.sample(from: loaded, start: start) { try line.update($0) }
        }
    }
}

private struct CalibrationTooShort: Error, CustomStringConvertible {
    let file: String
    let window: Int

    var description: String { "\(file): too short for one calibration window of \(window) tokens" }
}
