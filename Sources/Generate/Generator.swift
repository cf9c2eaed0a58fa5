import Models
import Text

/// Continues a prompt token by token: the engine, with one request.
package struct Generator {
    package struct Options: Sendable {
        package var sampling = SamplingOptions()
        package var maxTokens = 128
        /// Generation ends before the first of these that appears in the text.
        package var stops: [String] = []
        /// Whether an end-of-text token ends generation.
        package var endsAtEndOfText = true
        /// Tokens that end generation as well; like an end-of-text token they are not part of the result.
        package var stopTokens: Set<Int> = []
        /// What the text may consist of.
        package var constraint: (any TokenConstraint)?

        package init() {}
    }

    package enum FinishReason: String, Codable, Sendable {
        /// The token limit, or the model's context, is reached.
        case length
        /// A stop string or an end-of-text token came.
        case stop
    }

    package struct Result: Sendable {
        /// The new tokens, without the end-of-text token.
        package let tokens: [Int]
        package let text: String
        package let finishReason: FinishReason
        /// How far what was guessed was right, where something was.
        package var drafts: DraftCounts?
    }

    package let model: CausalLanguageModel
    package let tokenizer: Tokenizer
    /// What guesses ahead.
    package var speculation = Speculation.none
    /// Gets, before any text, what guesses more slowly than it could, and why.
    package var tell: (String) -> Void = { _ in }
    private let made = Made()

    /// Made when it is wanted first, and kept for the prompts that follow.
    private final class Made {
        var executor: Executor?
    }

    package init(model: CausalLanguageModel, tokenizer: Tokenizer) {
        self.model = model
        self.tokenizer = tokenizer
    }

    /// Continues `prompt`.
    /// - Parameters:
    ///   - prompt: token ids; not empty.
    ///   - emit: gets each piece of text as soon as it is certain to be part of the result, and whether its last token was
    ///     guessed; throwing from it ends generation.
    package func generate(
        _ prompt: [Int], _ options: Options, emit: (String, Bool) throws -> Void = { _, _ in }
    ) throws -> Result {
        try Engine.check(prompt, model.configuration)
        guard options.maxTokens > 0 else {
            try options.sampling.validate()
            return Result(tokens: [], text: "", finishReason: .length)
        }
        let blockTokens = Executor.blockTokens
        let most = min(prompt.count + options.maxTokens, model.configuration.maxPositions)
        var limits = Scheduler.Limits()
        limits.stepTokens = max(limits.stepTokens, prompt.count)
        limits.promptTokens = limits.stepTokens
        let blocks = max(1, (most + blockTokens - 1) / blockTokens)
        let executor = try executor()
        let speculating = try executor.speculating(speculation, blocks: blocks)
        speculating.note.map(tell)
        let engine = Engine(
            speculating, model.configuration, tokenizer: tokenizer, limits: limits)
        let id = try engine.submit(prompt, options)
        while true {
            var isGuessed = false
            for event in engine.step() {
                switch event {
                case .text(_, let piece, _):
                    try emit(piece, isGuessed)
                    isGuessed = false
                case .guessed: isGuessed = true
                case .started, .logprobs: break
                case .finished(_, var result):
                    if speculation.isOn { result.drafts = engine.draftCounts }
                    return result
                case .failed(_, let error): throw error
                }
            }
            precondition(!engine.isIdle, "\(id) ends with a result or an error")
        }
    }

    /// What computes the model's steps.
    package func executor() throws -> Executor {
        if let known = made.executor { return known }
        let executor = try Executor(model)
        made.executor = executor
        return executor
    }
}

package enum GenerateError: Error, CustomStringConvertible {
    case emptyPrompt
    case promptTooLong(tokens: Int, context: Int)
    case tokenOutOfRange(Int, vocabulary: Int)
    /// The model predicts no number.
    case notFinite

    package var description: String {
        switch self {
        case .emptyPrompt:
            "the prompt has no tokens and the model names no beginning-of-text token to start from"
        case .promptTooLong(let tokens, let context):
            "the prompt has \(tokens) tokens and the model's context is \(context), which leaves no room for an answer"
        case .notFinite:
            "the model's predictions are not finite: its weights are damaged, or too large for the type that it computes in"
        case .tokenOutOfRange(let token, let vocabulary):
            "token \(token) is outside the model's vocabulary of \(vocabulary): tokenizer and model do not belong together"
        }
    }
}
