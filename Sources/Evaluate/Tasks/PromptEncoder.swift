import Text

/// Turns prompts into tokens as the harness does.
struct PromptEncoder {
    /// Tokens of a context, at least one, and of what follows it.
    struct Pair: Equatable {
        let context: [Int]
        let continuation: [Int]
    }

    private let tokenizer: Tokenizer
    /// What an empty context is replaced by: the beginning-of-text token, else the end-of-text token.
    private let start: TokenID?
    private let startText: String?

    init(_ tokenizer: Tokenizer) throws {
        self.tokenizer = tokenizer
        start = tokenizer.bosToken ?? tokenizer.eosToken
        startText = try start.map { try tokenizer.decode([$0]) }
    }

    /// Tokens of `text` between those that the tokenizer's files ask for, unless it begins with the start token.
    func encode(_ text: String) -> [Int] {
        let isStarted = startText.map { text.begins(with: $0) } ?? false
        return tokenizer.encode(text, addSpecialTokens: !isStarted).map { Int($0) }
    }

    /// Spaces at the context's end go to the continuation, where most tokenizers keep them. The continuation's
    /// tokens are those of both texts together from where the context's own end (`TemplateLM._encode_pair`).
    func encode(_ pair: PromptPair) throws -> Pair {
        let context = pair.context.strippedAtEnd
        let spaces = pair.context.unicodeScalars.dropFirst(context.unicodeScalars.count)
        let continuation = String(spaces) + pair.continuation
        if context.isEmpty { return try encodeAlone(continuation) }
        let tokens = encode(context)
        return Pair(
            context: tokens,
            continuation: Array(encode(context + continuation).dropFirst(tokens.count)))
    }

    private func encodeAlone(_ continuation: String) throws -> Pair {
        guard let start else { throw TaskError.noStartToken }
        let tokens = tokenizer.encode(continuation).map { Int($0) }
        return tokens.first == Int(start)
            ? Pair(context: [Int(start)], continuation: Array(tokens.dropFirst()))
            : Pair(context: [Int(start)], continuation: tokens)
    }
}
