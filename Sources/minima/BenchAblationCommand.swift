import Ablate
import ArgumentParser
import Artifacts
import Foundation
import Generate
import Heal
import Models
import Report
import Speculate
import Tensors

struct BenchAblationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ablation",
        abstract:
            "Measure what each part of the method is worth: perplexity, size and speed, row by row.",
        discussion: """
            Rows build on one another:
            \(AblationRow.allCases.map { "  \($0.rawValue): \($0.summary)" }.joined(separator: "\n"))

            Speed is the same measure in every row: tokens a second of greedy generation, --new-tokens behind each of \
            --prompts prompts of held-out text, the median; the step that reads a prompt is not timed. A GPU computes \
            rows in bfloat16 if --dtype says nothing else. Parameters and bytes of the last row count the draft.

            --output keeps the models, the sensitivity map and one JSON file per row: a run that is killed is continued \
            by the same command, and what is there is not made or measured again. Models of other settings are refused \
            by name; rows that were measured in another way are measured again with --overwrite.

              minima bench ablation Models/tiny --corpus train.txt.xz --text valid.txt.xz --tokens 5M \\
                --output ablation --figure ablation.svg
              minima bench ablation Models/tiny --corpus train.txt.xz --text valid.txt.xz --output ablation --csv
            """)

    @Argument(help: "Folder of the dense model.", completion: .directory)
    var model: String

    @Option(name: .shortAndLong, help: "Folder of models and rows.", completion: .directory)
    var output: String

    @Option(
        parsing: .upToNextOption,
        help:
            "Files of text to heal and draft by (.txt, .jsonl, also .xz or .gz); the first one's beginning calibrates.",
        completion: .file())
    var corpus: [String]

    @Option(
        parsing: .upToNextOption,
        help: "Held-out files of text to measure on; prompts are of the first.",
        completion: .file())
    var text: [String]

    @Option(help: "Share of the linear layers' parameters that remains.")
    var keep = 0.65

    @Option(help: "Calibration windows at most.")
    var windows = 48

    @Option(
        help:
            "Inputs per window of calibration, healing and texts. Default: 2048, or what the model allows."
    )
    var window: Int?

    @Option(help: "Windows of each text at most. Default: all.")
    var textWindows: Int?

    @Option(help: "Tokens to heal by, as in 5M.")
    var tokens = Amount(TrainingSettings().tokens)

    @Option(help: "Tokens per step of healing.")
    var batchTokens = Amount(TrainingSettings().batchTokens)

    @Option(help: "Largest learning rate of healing.")
    var learningRate = TrainingSettings().learningRate

    @Option(help: "Weight of healing's loss of predicting the next token.")
    var nextToken = LossWeights().nextToken

    @Option(help: "Weight of the KL divergence from the dense model's predictions.")
    var kl = LossWeights().divergence

    @Option(help: "Weight of the distance from the dense model's hidden states.")
    var hidden = LossWeights().hidden

    @Option(help: "Tokens to train a draft by, as in 20M.")
    var draftTokens = Amount(DraftStage.usualSettings.tokens)

    @Flag(
        help:
            "Let the healed model write the text that its draft learns from, behind beginnings from the corpus."
    )
    var regenerate = false

    @Option(
        help: "Folder of a draft. Default: one is trained on the healed model.",
        completion: .directory)
    var draft: String?

    @Option(
        help: "Tokens to guess at once, 1 to \(Speculation.limit), or auto: as many as pay.")
    var draftLength = DraftLengthOption.auto

    @Option(help: "Sequences that decode side by side.")
    var batch = 1

    @Option(help: "Prompts, or groups of --batch prompts, that are timed.")
    var prompts = 8

    @Option(help: "Tokens of a prompt.")
    var promptTokens = 128

    @Option(help: "Tokens that are generated behind each.")
    var newTokens = 128

    @Option(help: "Type that rows are measured in. Default: bfloat16 on a GPU, float32 on a CPU.")
    var dtype: ComputeType?

    @Option(help: "Seed of labels that are drawn from the model, and of the order of windows.")
    var seed: UInt64 = 0

    @Flag(help: "Measure every row again; models that are there stay.")
    var overwrite = false

    @Flag(help: "Comma-separated values, for a table of results.")
    var csv = false

    @Option(
        help: "Draw perplexities and speeds to this file, SVG.",
        completion: .file(extensions: ["svg"]))
    var figure: String?

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var result: OutputOptions

    func validate() throws {
        if corpus.isEmpty { throw ValidationError("--corpus needs at least one file") }
        if text.isEmpty { throw ValidationError("--text needs at least one file") }
        guard keep > 0, keep < 1 else {
            throw ValidationError("--keep must be above 0 and below 1, not \(keep)")
        }
        for (name, value, range) in [
            ("windows", windows, 1...1 << 24), ("window", window ?? 2_048, 16...1 << 20),
            ("text-windows", textWindows ?? 1, 1...1 << 24), ("batch", batch, 1...1_024),
            ("prompts", prompts, 1...1_024), ("prompt-tokens", promptTokens, 1...1 << 20),
            ("new-tokens", newTokens, 2...1 << 20),
        ] where !range.contains(value) {
            throw ValidationError(
                "--\(name) must be from \(range.lowerBound.grouped) to \(range.upperBound.grouped)")
        }
        for (name, weight) in [("next-token", nextToken), ("kl", kl), ("hidden", hidden)]
        where !(weight >= 0 && weight.isFinite) {
            throw ValidationError("--\(name) must be 0 or more")
        }
        if regenerate, draft != nil {
            throw ValidationError("--regenerate is about a draft that is trained: without --draft")
        }
        guard nextToken + kl + hidden > 0 else {
            throw ValidationError("--next-token, --kl and --hidden are all 0: nothing would heal")
        }
        guard learningRate > 0, learningRate.isFinite else {
            throw ValidationError("--learning-rate must be above 0")
        }
        if csv, result.json { throw ValidationError("give --csv or --json, not both") }
    }

    func run() throws {
        let device = try compute.resolve()
        let stage = try stage(on: device)
        let display = AblationDisplay(isQuiet: result.quiet || result.json)
        let entries = try stage.run { try display.tell($0) }
        display.finish()
        if let figure {
            try Data(AblationPicture(entries).svg.utf8).write(
                to: URL(fileURLWithPath: figure), options: .atomic)
        }
        try result.show(AblationLine.lines(entries), csv: csv)
        let texts = Dictionary(uniqueKeysWithValues: entries.map { ($0.row, $0.speed.text) })
        if texts[AblationRow.kernels.rawValue] != texts[AblationRow.speculation.rawValue] {
            StandardError.note(
                "what was generated with the draft is NOT what the model says without")
        }
    }

    private func stage(on device: Device) throws -> AblationStage {
        let length = try window ?? min(2_048, ModelConfiguration(folder: model).maxPositions)
        let calibration = try CalibrationOptions.windows(
            of: corpus[0], for: model, length: length, most: windows)
        guard !calibration.isEmpty else {
            throw HealError.textTooShort(files: [corpus[0]], window: length)
        }
        var stage = AblationStage(
            source: model, output: output, corpus: corpus, calibration: calibration, texts: text)
        (stage.keep, stage.seed) = (keep, seed)
        stage.healing.weights = LossWeights(nextToken: nextToken, divergence: kl, hidden: hidden)
        stage.healing.learningRate = learningRate
        stage.healing.tokens = tokens.value
        // A training that is shorter than its usual step is one step.
        stage.healing.batchTokens = min(batchTokens.value, tokens.value)
        stage.drafting.tokens = draftTokens.value
        stage.drafting.batchTokens = min(stage.drafting.batchTokens, draftTokens.value)
        if regenerate { stage.draftOptions.regeneration = Regeneration() }
        stage.healing.window = length
        stage.drafting.window = min(stage.drafting.window, length)
        (stage.healing.seed, stage.drafting.seed) = (seed, seed)
        (stage.draft, stage.draftLength) = (draft, draftLength.tokens)
        (stage.textWindow, stage.textWindows) = (length, textWindows)
        (stage.batch, stage.prompts) = (batch, prompts)
        (stage.promptTokens, stage.newTokens) = (promptTokens, newTokens)
        stage.elementType = dtype?.elementType ?? (device == .cpu ? .float32 : .bfloat16)
        (stage.device, stage.overwrite) = (device, overwrite)
        return stage
    }
}

/// Shows what an ablation tells.
private final class AblationDisplay {
    private let isQuiet: Bool
    private var line: (task: String, shown: ProgressLine)?
    private var training: (task: String, shown: TrainingDisplay)?

    init(isQuiet: Bool) { self.isQuiet = isQuiet }

    /// - Throws: `Interruption` where the user asked to stop.
    func tell(_ event: AblationStage.Event) throws {
        switch event {
        case .step(let task, let done, let total, let note):
            if line?.task != task {
                finish()
                line = (task, ProgressLine(task, unit: "steps", total: total, isQuiet: isQuiet))
            }
            try line?.shown.update(done, note: note)
        case .training(let task, let event):
            if training?.task != task {
                finish()
                training = (task, TrainingDisplay(task, isQuiet: isQuiet, of: ProcessGroup()))
            }
            try training?.shown.tell(event)
        case .note(let text):
            finish()
            StandardError.note(text)
        }
    }

    func finish() {
        line?.shown.finish()
        training?.shown.finish()
        (line, training) = (nil, nil)
    }
}
