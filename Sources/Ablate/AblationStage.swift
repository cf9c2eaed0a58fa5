// dense checkpoint + text → what each part of the method is worth: perplexity, size and speed, row by row.
//
// Rows build on one another: three compressions, a healing of the third, its decoding by kernels of our own, and a draft that
// guesses ahead of it. Every row is decoded by the same measure, greedy generation behind prompts of held-out text.
import Artifacts
import Calibration
import Evaluate
import Foundation
import Generate
import Heal
import Models
import Speculate
import Tensors
import Text

package struct AblationStage {
    /// Folder of the dense model.
    package let source: String
    package let output: String
    /// Files of text to heal and draft by.
    package let corpus: [String]
    /// Windows of equally many token ids.
    package let calibration: [[Int]]
    /// Held-out files of text; prompts are of the first.
    package let texts: [String]
    /// Share of the linear layers' parameters that remains.
    package var keep = 0.65
    /// Seed of the labels that are drawn from the model.
    package var seed: UInt64 = 0
    package var healing = TrainingSettings()
    package var drafting = DraftStage.usualSettings
    package var draftOptions = DraftOptions()
    /// Folder of a draft, where none is to be trained.
    package var draft: String?
    /// Tokens to guess at once; `nil`: as many as pay.
    package var draftLength: Int?
    /// Inputs of a window of the texts, and windows of each at most.
    package var textWindow = 2_048
    package var textWindows: Int?
    /// Sequences that decode side by side, and groups of them that are timed.
    package var batch = 1
    package var prompts = 8
    package var promptTokens = 128
    package var newTokens = 128
    /// What is computed in where rows are measured.
    package var elementType = ElementType.float32
    package var device = Device.cpu
    /// Measure every row again; models that are there stay.
    package var overwrite = false

    package init(
        source: String, output: String, corpus: [String], calibration: [[Int]], texts: [String]
    ) {
        (self.source, self.output, self.corpus) = (source, output, corpus)
        (self.calibration, self.texts) = (calibration, texts)
    }

    package enum Event {
        /// What is being done, and how much of it.
        case step(task: String, done: Int, total: Int?, note: String)
        case training(task: String, TrainingEvent)
        case note(String)
    }

    package typealias Tell = (Event) throws -> Void

    /// Makes and measures what is not there yet.
    /// - Parameter tell: throwing from it ends the run between two steps; it can be continued.
    /// - Returns: all rows, in order.
    package func run(tell: @escaping Tell) throws -> [AblationEntry] {
        TorchRuntime.keepFreedMemory()
        let configuration = try ModelConfiguration(folder: source)
        let checkpoint = try Checkpoint(source)
        guard checkpoint.manifest == nil else { throw AblationError.compressed(source) }
        try checkpoint.validate(against: configuration)
        try check(configuration)
        let speed = try generation(configuration)
        let identity = try checkpoint.fingerprint()
        let (made, measured) = (try settings(identity), try measurement())
        if !AblationFolder.isBegun(output) { try checkOverlap(tell) }
        let folder = try AblationFolder(output, source: identity, settings: made)
        // Before any work: what is there must go with what will be.
        var entries: [AblationRow: AblationEntry] = [:]
        for row in AblationRow.allCases where !overwrite {
            entries[row] = try folder.entry(row, measuredWith: measured(row))
        }
        let models = AblationModels(self, folder, tell)
        for row in AblationRow.allCases where entries[row] == nil {
            let entry = try measure(
                row, models, speed, source: identity, settings: measured(row),
                texts: row == .speculation ? entries[.kernels]?.texts : nil, tell)
            try folder.write(entry, of: row)
            entries[row] = entry
        }
        return AblationRow.allCases.compactMap { entries[$0] }
    }

    // MARK: Checks

    private func check(_ configuration: ModelConfiguration) throws {
        guard !texts.isEmpty else { throw AblationError.noText }
        let positions = configuration.maxPositions
        for window in [textWindow, healing.window, drafting.window] where window > positions {
            throw AblationError.window(window, positions: positions)
        }
        guard promptTokens + newTokens <= positions else {
            throw AblationError.context(tokens: promptTokens + newTokens, positions: positions)
        }
        guard let draft else { return }
        // It must fit the dense model's shape, which compression keeps.
        _ = try DraftModel(
            folder: draft, for: CausalLanguageModel(Checkpoint(source), configuration))
    }

    /// Prompts of the first text, all of them different.
    private func generation(_ configuration: ModelConfiguration) throws -> GenerationSpeed {
        // The first group warms up.
        let needed = (prompts + 1) * batch
        var stream = TokenWindows(
            try TokenStream(Corpus(path: texts[0]), Tokenizer(path: source)), length: promptTokens)
        let found = try stream.next(needed).map { $0.inputs.map(Int.init) }
        guard found.count == needed else {
            throw AblationError.fewPrompts(
                file: texts[0], needed: needed, found: found.count, tokens: promptTokens)
        }
        return GenerationSpeed(
            groups: stride(from: 0, to: needed, by: batch).map { Array(found[$0..<$0 + batch]) },
            tokens: newTokens)
    }

    /// Refuses texts that stand in the corpus, as healing does, before anything is made.
    private func checkOverlap(_ tell: @escaping Tell) throws {
        let tokenizer = try Tokenizer(path: source)
        let windows = try TrainingWindows(
            corpus, tokenizer, folder: source, length: healing.window, cache: CacheFolder.root
        ) { try tell(.training(task: "healing", $0)) }
        let held = try texts.map { try HeldOutText($0, tokenizer).tokens }
        let found = try Contamination(evaluation: held, windows: windows) {
            try tell(.training(task: "healing", .searching(windows: $0, of: windows.count)))
        }
        guard found.evaluationShare <= Contamination.limit else {
            throw AblationError.overlap(share: found.evaluationShare, texts: texts)
        }
    }

    // MARK: Settings

    /// What the models are made with.
    private func settings(_ source: Fingerprint) throws -> [String: JSONValue] {
        let moments = MomentCache(
            source: source, windows: calibration, seed: seed, in: CacheFolder.root)
        var draft = drafting.journal
        draft["regeneration"] = draftOptions.regeneration?.journal
        return [
            "checkpoint": .string(source.hex), "keep": .string("\(keep)"),
            "calibration": .object([
                "moments": .string(Self.name(of: moments.folder)),
                "windows": .integer(calibration.count),
            ]),
            "corpus": .string(
                try corpus.map { try Fingerprint(ofFile: $0).hex }.joined(separator: " ")),
            "healing": .object(healing.journal), "draft": .object(draft),
        ]
    }

    /// What each row is measured with.
    private func measurement() throws -> (AblationRow) -> [String: JSONValue] {
        var files: [String: JSONValue] = [:]
        for text in texts {
            let (name, hash) = (Self.name(of: text), try Fingerprint(ofFile: text).hex)
            guard files.updateValue(.string(hash), forKey: name) == nil else {
                throw AblationError.sameName(name)
            }
        }
        var common: [String: JSONValue] = [
            "evaluation": .object([
                "texts": .object(files), "window": .integer(textWindow),
                "windows": textWindows.map { .integer($0) } ?? .string("all"),
            ]),
            "generation": .object([
                "batch": .integer(batch), "prompts": .integer(prompts),
                "prompt-tokens": .integer(promptTokens), "new-tokens": .integer(newTokens),
            ]),
            "device": .string(device == .cpu ? "cpu" : "cuda"),
            "type": .string(elementType.rawValue),
        ]
        if device == .cpu { common["threads"] = .integer(TorchRuntime.threads) }
        var speculation = common
        speculation["draft"] = .string(
            try draft.map { try Checkpoint($0).fingerprint().hex } ?? "trained")
        speculation["draft-length"] = draftLength.map { .integer($0) } ?? .string("auto")
        return { [common, speculation] in $0 == .speculation ? speculation : common }
    }

    static func name(of path: String) -> String {
        URL(fileURLWithPath: path).lastPathComponent
    }
}
