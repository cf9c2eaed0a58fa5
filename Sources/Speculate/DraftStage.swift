// A model, dense or compressed, and text → an EAGLE-3 draft that guesses what this very model says.
import Artifacts
import Foundation
import Heal
import Models
import Tensors
import Text

package struct DraftStage {
    /// Folder of the model that is drafted for.
    package let model: String
    package var options: DraftOptions
    package var settings: TrainingSettings
    package var place: TrainingPlace

    package init(
        model: String, options: DraftOptions, settings: TrainingSettings, place: TrainingPlace
    ) {
        (self.model, self.options, self.settings, self.place) = (model, options, settings, place)
    }

    /// Settings that suit small drafts: many small steps learn more from the same text (LOG.md).
    package static var usualSettings: TrainingSettings {
        var settings = TrainingSettings()
        settings.weights = LossWeights(nextToken: 0, divergence: 1, hidden: 0, task: 0)
        settings.tokens = 20_000_000
        settings.batchTokens = 4_096
        settings.window = 512
        settings.learningRate = 3e-3
        settings.clip = 0.5
        return settings
    }

    /// Trains, or goes on with a training that was ended early.
    /// - Parameter tell: throwing from it ends the run between two steps; it can be continued.
    package func run(tell: @escaping (TrainingEvent) throws -> Void) throws -> DraftReport {
        TorchRuntime.keepFreedMemory()
        let configuration = try ModelConfiguration(folder: model)
        guard settings.window > options.passes + 1, settings.window <= configuration.maxPositions
        else {
            throw DraftError.window(
                settings.window, passes: options.passes, positions: configuration.maxPositions)
        }
        if let prompt = options.regeneration?.promptTokens, !(1..<settings.window).contains(prompt)
        {
            throw DraftError.promptTokens(prompt, window: settings.window)
        }
        if let size = options.vocabulary, size > configuration.vocabularySize {
            throw DraftError.vocabulary(size, model: configuration.vocabularySize)
        }
        let tokenizer = try Tokenizer(path: model)
        let checkpoint = try Checkpoint(model)
        let target = try checkpoint.fingerprint()
        var journal = settings.journal
        journal["model"] = .string(target.hex)
        journal["draft-vocabulary"] = .integer(vocabularySize(configuration))
        journal["passes"] = .integer(options.passes)
        journal["loss"] = .string(options.loss.rawValue)
        journal["corpus"] = .string(
            try place.corpus.map { try Fingerprint(ofFile: $0).hex }.joined(separator: " "))
        journal["regeneration"] = options.regeneration?.journal
        let isOurs = try !place.restart && RunFolder.isOpen(for: place.output, journal: journal)
        let folder = try OutputFolder(place.output, overwrite: place.overwrite || isOurs)
        let corpus = try TrainingWindows(
            place.corpus, tokenizer, folder: model, length: settings.window, cache: place.cache,
            tell: tell)
        let device = place.device
        let measured = try inputs(
            place.evaluation.map { try HeldOutText($0, tokenizer) }, on: device)
        let run = try RunFolder(for: folder.path, journal: journal, restart: place.restart)

        let loaded = try CausalLanguageModel(
            checkpoint, configuration, as: Trainer.computeType(on: device), on: device)
        let windows =
            try options.regeneration.map {
                try RegeneratedText(
                    $0, of: corpus, tokens: settings.tokens, seed: settings.seed, in: run.path
                ).windows(by: loaded, tokenizer, tell: tell)
            } ?? corpus
        let vocabulary = try DraftVocabulary(
            windows, size: vocabularySize(configuration), of: configuration.vocabularySize)
        let start = try DraftStart(configuration, vocabulary, target: target)
        let learner = try DraftTrainer(
            start.model(
                for: loaded, seed: settings.seed, sizedBy: ids(of: windows, on: device)),
            of: loaded, options, settings)
        let source = BatchSource(
            text: windows, tasks: nil, settings: settings, windowsAtOnce: windowsAtOnce,
            on: device)
        let before = try measured.isEmpty ? nil : learner.measure(measured)
        var loop = TrainingLoop(
            learner, source, states: TrainingStates(folder: run.path), saving: place.saving,
            processes: ProcessGroup())
        let result = try loop.run(tell: tell)
        let after = try measured.isEmpty ? nil : learner.measure(measured)
        let tokens = result.curve.last?.tokens ?? 0
        let report = DraftReport(
            target: target, source: checkpoint.manifest?.source ?? target, output: place.output,
            settings: settings.journal.merging(journal) { $1 },
            device: device.description,
            parameters: learner.masters.reduce(0) { $0 + $1.tensor.count },
            vocabularySize: vocabulary.tokens.count, coverage: vocabulary.coverage, tokens: tokens,
            seconds: result.seconds,
            tokensPerSecond: result.measured.seconds > 0
                ? Double(result.measured.tokens) / result.measured.seconds
                : Double(tokens) / max(result.seconds, 1e-9),
            before: before, after: after, curve: result.curve)
        try folder.replace {
            try start.write(learner.masters, report, to: folder.path, like: model)
        }
        try RunFolder.end(for: folder.path)
        return report
    }

    private func vocabularySize(_ configuration: ModelConfiguration) -> Int {
        options.vocabulary ?? min(32_000, configuration.vocabularySize / 2)
    }

    /// The first windows.
    private func ids(of windows: TrainingWindows, on device: Device) throws -> Tensor {
        let count = min(windows.count, windowsAtOnce)
        let tokens = try (0..<count).flatMap { try windows.window($0).dropLast() }
        return try Tensor(tokens, shape: [count, settings.window]).uploaded(to: device)
    }

    /// Windows that go through the models at once.
    private var windowsAtOnce: Int {
        let tokens = settings.microBatchTokens ?? (place.device == .cpu ? 2_048 : 8_192)
        return min(max(1, tokens / settings.window), settings.windowsPerStep)
    }

    /// Inputs of windows of held-out text.
    private func inputs(_ held: [HeldOutText], on device: Device) throws -> [Tensor] {
        try held.flatMap { text -> [Tensor] in
            let count = min(HeldOutText.mostWindows, text.tokens.count / settings.window)
            guard count > 0 else {
                throw HealError.textTooShort(files: [text.file], window: settings.window)
            }
            return try stride(from: 0, to: count, by: windowsAtOnce).map { first in
                let group = first..<min(first + windowsAtOnce, count)
                return try Tensor(
                    Array(
                        text.tokens[
                            group.lowerBound * settings.window..<group.upperBound * settings.window]
                    ), shape: [group.count, settings.window]
                ).uploaded(to: device)
            }
        }
    }
}

package enum DraftError: Error, CustomStringConvertible {
    case window(Int, passes: Int, positions: Int)
    case promptTokens(Int, window: Int)
    case vocabulary(Int, model: Int)

    package var description: String {
        switch self {
        case .window(let window, let passes, let positions):
            "a window of \(window) tokens is not between \(passes + 2), for \(passes) passes, and the model's \(positions) positions"
        case .promptTokens(let prompt, let window):
            "a prompt of \(prompt) tokens leaves nothing to write in a window of \(window), or is none"
        case .vocabulary(let size, let model):
            "the draft cannot guess \(size) tokens: the model has a vocabulary of \(model)"
        }
    }
}
