import NIOCore
import Text

/// The answer of /v1/models.
enum ModelList {
    /// - Parameter state: where there is a second model.
    static func write(
        _ model: ServedModel, _ state: ModelExchange.State?, to buffer: inout ByteBuffer
    ) {
        buffer.writeStaticString("{\"object\":\"list\",\"data\":[{\"id\":")
        buffer.writeJSON(model.name)
        buffer.writeString(
            ",\"object\":\"model\",\"created\":\(model.created),\"owned_by\":\"minima\",\"max_model_len\":\(model.capacity)"
        )
        if let state { buffer.writeString(",\"active\":\"\(state.active.rawValue)\"") }
        buffer.writeStaticString("}]}")
    }
}

/// The answer of /tokenize, as vLLM has it: of a prompt, or of a conversation.
struct TokenizeAnswer {
    private let tokens: [Int]
    /// As the vocabulary spells them, where they are asked for.
    private let spellings: [String]?
    private let limit: Int

    init(_ body: JSON, _ model: ServedModel) throws(APIError) {
        var fields = try FieldReader(body)
        try CommonFields.check(try fields.string("model"), model)
        let addsSpecial = try fields.bool("add_special_tokens")
        let wantsSpellings = try fields.bool("return_token_strs") ?? false
        let prompt = try fields.string("prompt")
        let messages = try fields.array("messages", atMost: GenerationRequest.mostMessages)
        let addsPrompt = try fields.bool("add_generation_prompt") ?? true
        try fields.finish()
        switch (prompt, messages) {
        case (let prompt?, nil):
            tokens = model.tokenizer.encode(prompt, addSpecialTokens: addsSpecial ?? true)
                .map(Int.init)
        case (nil, let messages?):
            tokens = try ChatPrompt(model: model).tokens(
                .init(
                    messages: try GenerationRequest.messages(messages), tools: [],
                    addGenerationPrompt: addsPrompt))
        default:
            throw .invalid("Give either `prompt` or `messages`.", param: "prompt")
        }
        spellings =
            wantsSpellings
            ? tokens.map { model.tokenizer.token(for: TokenID($0)) ?? "" } : nil
        limit = model.capacity
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeString("{\"count\":\(tokens.count),\"max_model_len\":\(limit),\"tokens\":")
        buffer.writeJSON(tokens) { $0.writeJSON($1) }
        buffer.writeStaticString(",\"token_strs\":")
        if let spellings {
            buffer.writeJSON(spellings) { $0.writeJSON($1) }
        } else {
            buffer.writeStaticString("null")
        }
        buffer.writeStaticString("}")
    }
}

/// The answer of /detokenize.
enum Detokenize {
    static let mostTokens = 1 << 20

    static func text(_ body: JSON, _ model: ServedModel) throws(APIError) -> String {
        var fields = try FieldReader(body)
        try CommonFields.check(try fields.string("model"), model)
        guard let ids = try fields.array("tokens", atMost: mostTokens) else {
            throw .invalid("`tokens` is missing.", param: "tokens")
        }
        try fields.finish()
        var tokens: [TokenID] = []
        for id in ids {
            let token = try FieldReader.int(
                id, in: 0...model.vocabularySize - 1, named: "tokens")
            tokens.append(TokenID(token))
        }
        do {
            return try model.tokenizer.decode(tokens)
        } catch {
            throw .invalid("`tokens` cannot be decoded: \(error).", param: "tokens")
        }
    }
}
