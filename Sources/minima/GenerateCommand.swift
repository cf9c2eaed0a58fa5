import Artifacts
import ArgumentParser
import Foundation
import Generate
import Models
import Tensors
import Text

struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Continue a prompt with a model, dense or compressed.",
        discussion: """
            Text streams to standard output as it is made. Without sampling options the likeliest token \
            is taken each time, so the same prompt gives the same text.

              minima generate Models/tiny "The history of the lighthouse" --max-tokens 60
              minima generate Models/tiny --prompt-file question.txt --temperature 0.8 --top-p 0.95 --seed 7

            With --draft or --speculate several tokens are guessed and checked in one step. The text is the same, token \
            by token, sampled or not; --show-drafts prints what was guessed right in green.
            """)

    @Argument(help: "Folder of the model.", completion: .directory)
    var model: String

    @Argument(help: "Text to continue. Default: --prompt-file, else nothing.")
    var prompt: String?

    @Option(help: "File that holds the prompt.", completion: .file())
    var promptFile: String?

    @Option(name: .shortAndLong, help: "New tokens at most.")
    var maxTokens = 128

    @Option(help: "Divides the logits before sampling; 0 takes the likeliest token.")
    var temperature = 0.0

    @Option(help: "Sample among this many likeliest tokens only.")
    var topK: Int?

    @Option(help: "Sample among the likeliest tokens that reach this probability together.")
    var topP = 1.0

    @Option(help: "Sample among tokens at least this times as likely as the likeliest.")
    var minP = 0.0

    @Option(help: "Divide the logits of tokens that occurred by this; 1 leaves them.")
    var repetitionPenalty = 1.0

    @Option(help: "Seed of the draws.")
    var seed: UInt64 = 0

    @Option(help: "End before this text appears. May be given several times.")
    var stop: [String] = []

    @Flag(help: "Go on after an end-of-text token.")
    var ignoreEnd = false

    @Option(
        help:
            "Type to compute in: float32 or bfloat16. Default: float32 on the CPU, bfloat16 on a GPU."
    )
    var dtype: ComputeType?

    @OptionGroup var speculation: SpeculationOptions

    @Flag(help: "Colour tokens that were guessed right, and say how many they were.")
    var showDrafts = false

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if prompt != nil, promptFile != nil {
            throw ValidationError("give the prompt as an argument or by --prompt-file, not both")
        }
        if maxTokens < 1 { throw ValidationError("--max-tokens must be 1 or more") }
        do { try sampling.validate() } catch { throw ValidationError(error.description) }
    }

    private var sampling: SamplingOptions {
        var options = SamplingOptions()
        options.temperature = temperature
        options.topK = topK
        options.topP = topP
        options.minP = minP
        options.repetitionPenalty = repetitionPenalty
        options.seed = seed
        return options
    }

    func run() throws {
        let device = try compute.resolve()
        let tokenizer = try Tokenizer(path: model)
        let configuration = try ModelConfiguration(folder: model)
        let text = try promptFile.map(readPrompt) ?? prompt ?? ""
        var ids = tokenizer.encode(text, addSpecialTokens: true).map(Int.init)
        if ids.isEmpty, let begin = configuration.beginToken ?? configuration.endTokens.first {
            ids = [begin]
        }
        TorchRuntime.keepFreedMemory()
        let checkpoint = try Checkpoint(self.model)
        let model = try CausalLanguageModel(
            checkpoint, configuration,
            as: dtype?.elementType ?? (device == .cpu ? .float32 : .bfloat16), on: device)

        var options = Generator.Options()
        options.sampling = sampling
        options.maxTokens = maxTokens
        options.stops = stop
        options.endsAtEndOfText = !ignoreEnd
        let start = Date()
        var generator = Generator(model: model, tokenizer: tokenizer)
        let (speculation, note) = try speculation.load(for: model, checkpoint)
        generator.speculation = speculation
        if !output.quiet {
            StandardError.note(note)
            generator.tell = { StandardError.note($0) }
        }
        let colours = showDrafts && !output.json
        if !output.quiet { StandardError.note(try generator.executor().note) }
        let result = try generator.generate(ids, options) { piece, isGuessed in
            try Interruption.check()
            let text = colours && isGuessed ? "\u{1B}[32m\(piece)\u{1B}[0m" : piece
            if !output.json { FileHandle.standardOutput.write(Data(text.utf8)) }
        }
        let seconds = Date().timeIntervalSince(start)
        if output.json {
            try output.printJSON(
                GenerationReport(
                    prompt: text, promptTokens: ids.count, text: result.text, tokens: result.tokens,
                    finishReason: result.finishReason,
                    tokensPerSecond: Double(result.tokens.count) / seconds, seconds: seconds,
                    drafts: result.drafts.map(DraftSummary.init)))
        } else {
            print()
        }
        if showDrafts, let drafts = result.drafts {
            StandardError.note(DraftSummary(drafts).line)
        }
    }
}

private struct GenerationReport: Encodable {
    let prompt: String
    let promptTokens: Int
    let text: String
    let tokens: [Int]
    let finishReason: Generator.FinishReason
    let tokensPerSecond: Double
    let seconds: Double
    let drafts: DraftSummary?

    private enum CodingKeys: String, CodingKey {
        case prompt, text, tokens, seconds, drafts
        case promptTokens = "prompt_tokens"
        case finishReason = "finish_reason"
        case tokensPerSecond = "tokens_per_second"
    }
}

private func readPrompt(_ path: String) throws -> String {
    do {
        return try String(contentsOfFile: path, encoding: .utf8)
    } catch {
        throw UnreadablePrompt(file: path)
    }
}

private struct UnreadablePrompt: Error, CustomStringConvertible {
    let file: String

    var description: String { "\(file): cannot be read as UTF-8 text" }
}
