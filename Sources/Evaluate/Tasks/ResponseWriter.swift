import Generate
import Models
import Text

/// Lets a model write answers, greedily.
struct ResponseWriter {
    private let generator: Generator
    private let encoder: PromptEncoder
    private let stops: [String]
    private let options: Generator.Options

    /// - Parameters:
    ///   - stops: a response ends before the first of them, and before the end-of-text token.
    ///   - tokens: of a response at most.
    init(
        _ model: CausalLanguageModel, _ tokenizer: Tokenizer, stops: [String], tokens: Int
    ) throws {
        guard model.configuration.maxPositions > tokens else {
            throw TaskError.context(tokens: model.configuration.maxPositions, needed: tokens)
        }
        generator = Generator(model: model, tokenizer: tokenizer)
        encoder = try PromptEncoder(tokenizer)
        let end = try tokenizer.eosToken.map { [try tokenizer.decode([$0])] } ?? []
        self.stops = stops + end
        var options = Generator.Options()
        options.maxTokens = tokens
        options.stops = self.stops
        self.options = options
    }

    /// What the model writes after `prompt`, whose beginning is left out where both do not fit.
    func respond(to prompt: String) throws -> String {
        let room = generator.model.configuration.maxPositions - options.maxTokens
        let result = try generator.generate(Array(encoder.encode(prompt).suffix(room)), options)
        // Text without the special tokens, which stops are looked for with.
        let text = try generator.tokenizer.decode(
            result.tokens.map { TokenID($0) }, skipSpecialTokens: true)
        return stops.reduce(text) { text, stop in
            guard let end = text.firstRange(of: stop) else { return text }
            return String(text[..<end.lowerBound])
        }
    }
}
