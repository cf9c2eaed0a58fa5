import ArgumentParser
import Artifacts
import Foundation
import Heal
import Speculate
import Tensors

extension DraftOptions.Loss: ExpressibleByArgument {}

struct DraftCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "draft",
        abstract: "Train a draft model that guesses ahead of a model, dense or compressed.",
        discussion: """
            The draft is an EAGLE-3 head: one decoder layer that reads what enters three layers of the model, and guesses \
            the model's own next tokens. generate, serve and bench take its folder as --draft; other runtimes read it \
            too. A run that is killed is continued by the same command.

              minima draft Models/tiny --corpus text.txt.xz --tokens 20M --output tiny-draft
              minima generate Models/tiny "The history of" --draft tiny-draft --show-drafts

            With --regenerate the model writes the text itself, behind beginnings from the corpus: what a draft will have \
            to guess is what the model says, not what people wrote.
            """)

    @Argument(help: "Folder of the model to draft for.", completion: .directory)
    var model: String

    @Option(
        parsing: .upToNextOption,
        help: "Files of text to learn from (.txt, .jsonl, also .xz or .gz); at least one.",
        completion: .file())
    var corpus: [String]

    @Option(name: .shortAndLong, help: "Folder to write; it appears when it is complete.")
    var output: String

    @Option(help: "Tokens to learn from, as in 20M.")
    var tokens = Amount(DraftStage.usualSettings.tokens)

    @Option(help: "Tokens per step of the optimiser.")
    var batchTokens = Amount(DraftStage.usualSettings.batchTokens)

    @Option(help: "Inputs per window.")
    var window = DraftStage.usualSettings.window

    @Option(help: "Tokens that go through the models at once.")
    var microBatchTokens: Amount?

    @Option(help: "Largest learning rate.")
    var learningRate = DraftStage.usualSettings.learningRate

    @Option(
        help:
            "What is learnt: kl, the model's predictions, or acceptance, the share of draws that is accepted."
    )
    var loss = DraftOptions().loss

    @Option(help: "Guesses in a row that are trained.")
    var passes = DraftOptions().passes

    @Flag(
        help:
            "Let the model write the text that is learnt from, behind the first tokens of the corpus' windows."
    )
    var regenerate = false

    @Option(help: "With --regenerate, tokens of a window that stay the corpus' own.")
    var promptTokens: Int?

    @Option(help: "With --regenerate, temperature of the draws; 0 takes the likeliest token.")
    var temperature: Double?

    @Option(
        help:
            "Tokens that can be guessed, the most frequent ones. Default: half of the vocabulary, 32,000 at most."
    )
    var vocabulary: Int?

    @Option(
        parsing: .upToNextOption,
        help: "Held-out files of text, guessed on before and after.", completion: .file())
    var evaluation: [String] = []

    @Option(help: "Seed of the first weights and of the order of windows.")
    var seed: UInt64 = 0

    @Option(help: "Steps from one kept state to the next. Default: every five minutes.")
    var saveEvery: Int?

    @Flag(help: "Replace the output folder if it exists.")
    var overwrite = false

    @Flag(help: "Discard an unfinished run of the same output.")
    var restart = false

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var result: OutputOptions

    func validate() throws {
        guard !corpus.isEmpty else { throw ValidationError("--corpus needs at least one file") }
        guard learningRate > 0, learningRate.isFinite else {
            throw ValidationError("--learning-rate must be above 0")
        }
        guard regenerate || (promptTokens == nil && temperature == nil) else {
            throw ValidationError("--prompt-tokens and --temperature belong to --regenerate")
        }
        if let temperature, !(temperature >= 0 && temperature.isFinite) {
            throw ValidationError("--temperature must be 0 or more")
        }
        for (name, value, range) in [
            ("passes", passes, 1...16), ("vocabulary", vocabulary ?? 1, 1...1 << 24),
            ("window", window, 2...1 << 20),
            ("prompt-tokens", promptTokens ?? 1, 1...max(1, window - 1)),
            ("save-every", saveEvery ?? 1, 1...1 << 40),
        ] where !range.contains(value) {
            throw ValidationError(
                "--\(name) must be from \(range.lowerBound) to \(range.upperBound)")
        }
    }

    func run() throws {
        let device = try compute.resolve()
        var settings = DraftStage.usualSettings
        settings.tokens = tokens.value
        settings.batchTokens = batchTokens.value
        settings.window = window
        settings.microBatchTokens = microBatchTokens?.value
        settings.learningRate = learningRate
        settings.seed = seed
        var options = DraftOptions()
        (options.loss, options.passes, options.vocabulary) = (loss, passes, vocabulary)
        if regenerate {
            var regeneration = Regeneration()
            regeneration.promptTokens = promptTokens ?? regeneration.promptTokens
            regeneration.temperature = temperature ?? regeneration.temperature
            options.regeneration = regeneration
        }
        var place = TrainingPlace(corpus: corpus, output: output)
        place.evaluation = evaluation
        place.overwrite = overwrite
        place.restart = restart
        place.saving.steps = saveEvery
        place.device = device
        let shown = TrainingDisplay(
            "draft", isQuiet: result.quiet || result.json, of: ProcessGroup())
        let report = try DraftStage(
            model: model, options: options, settings: settings, place: place
        ).run { try shown.tell($0) }
        shown.finish()
        if result.json { try result.printJSON(report) } else { print(report.table) }
    }
}

extension DraftReport {
    fileprivate var table: String {
        var lines = [
            ("parameters", parameters.grouped),
            (
                "tokens that can be guessed",
                "\(vocabularySize.grouped), \(Self.percent(coverage)) of the text"
            ),
            ("learnt from", "\(tokens.grouped) tokens, \(Int(tokensPerSecond).grouped) a second"),
        ]
        for (name, measured) in [("before", before), ("after", after)] {
            guard let measured else { continue }
            lines.append(
                (
                    "right in a row, \(name)",
                    measured.agreement.map(Self.percent).joined(separator: " ")
                ))
            lines.append(
                (
                    "tokens a step, \(name)",
                    measured.chains.map {
                        String(format: "%.2f with chains of %d", measured.acceptanceLength($0), $0)
                    }.joined(separator: ", ")
                ))
        }
        return lines.aligned
    }

    private static func percent(_ share: Double) -> String { String(format: "%.1f%%", 100 * share) }
}
