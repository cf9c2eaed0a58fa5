import Models
import Tensors
import Text

/// Continues a prompt token by token.
package struct Generator {
    package struct Options: Sendable {
        package var sampling = SamplingOptions()
        package var maxTokens = 128
        /// Generation ends before the first of these that appears in the text.
        package var stops: [String] = []
        /// Whether an end-of-text token ends generation.
        package var endsAtEndOfText = true

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
    }

    package let model: CausalLanguageModel
    package let tokenizer: Tokenizer

    package init(model: CausalLanguageModel, tokenizer: Tokenizer) {
        self.model = model
        self.tokenizer = tokenizer
    }

    /// Continues `prompt`.
    /// - Parameters:
    ///   - prompt: token ids; not empty.
    ///   - emit: gets each piece of text as soon as it is certain to be part of the result; throwing
    ///     from it ends generation.
    package func generate(
        _ prompt: [Int], _ options: Options, emit: (String) throws -> Void = { _ in }
    ) throws -> Result {
        guard !prompt.isEmpty else { throw GenerateError.emptyPrompt }
        let context = model.configuration.maxPositions
        guard prompt.count < context else {
            throw GenerateError.promptTooLong(tokens: prompt.count, context: context)
        }
        if let token = prompt.first(where: {
            !(0..<model.configuration.vocabularySize).contains($0)
        }) {
            throw GenerateError.tokenOutOfRange(
                token, vocabulary: model.configuration.vocabularySize)
        }
        var sampler = try Sampler(options.sampling)
        sampler.observe(prompt)
        var decoder = StreamingDecoder(tokenizer)
        var scanner = StopScanner(options.stops)
        let limit = min(options.maxTokens, context - prompt.count)
        let ends = options.endsAtEndOfText ? Set(model.configuration.endTokens) : []

        var cache: KVCache? = KVCache(
            layers: model.configuration.layerCount, capacity: prompt.count + limit)
        var tokens: [Int] = []
        var text = ""
        func show(_ piece: String) throws {
            guard !piece.isEmpty else { return }
            text += piece
            try emit(piece)
        }
        var input = prompt
        var reason = FinishReason.length
        try withoutGradients {
            while tokens.count < limit {
                let token = sampler.next(try lastLogits(of: input, cache: &cache))
                if ends.contains(token) {
                    reason = .stop
                    break
                }
                tokens.append(token)
                try show(scanner.admit(try decoder.append(TokenID(token))))
                if scanner.isStopped {
                    reason = .stop
                    break
                }
                input = [token]
            }
        }
        if !scanner.isStopped {
            try show(scanner.admit(decoder.finish()))
            try show(scanner.finish())
        }
        return Result(tokens: tokens, text: text, finishReason: reason)
    }

    /// Logits that follow `ids`, which come after what `cache` holds.
    private func lastLogits(of ids: [Int], cache: inout KVCache?) throws -> [Float] {
        let input = try Tensor(ids, shape: [1, ids.count], on: model.device)
        let hidden = try model.hiddenStates(input, cache: &cache)
        let last = try hidden.selected(1, ids.count - 1)
        return try model.ends.project(last).elements(as: Float.self)
    }
}

package enum GenerateError: Error, CustomStringConvertible {
    case emptyPrompt
    case promptTooLong(tokens: Int, context: Int)
    case tokenOutOfRange(Int, vocabulary: Int)

    package var description: String {
        switch self {
        case .emptyPrompt:
            "the prompt has no tokens and the model names no beginning-of-text token to start from"
        case .promptTooLong(let tokens, let context):
            "the prompt has \(tokens) tokens and the model's context is \(context), which leaves no room for an answer"
        case .tokenOutOfRange(let token, let vocabulary):
            "token \(token) is outside the model's vocabulary of \(vocabulary): tokenizer and model do not belong together"
        }
    }
}
