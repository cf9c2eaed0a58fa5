import Text

extension GenerationRequest {
    /// Prompts of one request.
    static let mostPrompts = 128
    /// Tokens of all prompts of a request whose probabilities are wanted: what is known of them is held until it is sent.
    static let mostScoredTokens = 1 << 18

    /// Reads the body of /v1/completions.
    static func completion(
        _ body: JSON, _ model: ServedModel
    ) throws(APIError) -> GenerationRequest {
        var fields = try FieldReader(body)
        var common = try CommonFields(&fields, model)
        common.template.sampling.logprobs = try fields.int("logprobs", in: 0...5)
        let maxTokens = try fields.int("max_tokens", in: 0...Int(Int32.max)) ?? 16
        let echoes = try fields.bool("echo") ?? false
        try fields.accept("suffix", only: .string(""))
        if let best = try fields.int("best_of", in: 1...mostChoices), best != common.choices {
            throw .invalid("`best_of` other than `n` is not supported.", param: "best_of")
        }
        let prompts = try Self.prompts(fields.value("prompt"), model)
        try fields.finish()
        guard maxTokens > 0 || echoes else {
            throw .invalid("`max_tokens` must be 1 or more.", param: "max_tokens")
        }
        common.template.scoresPrompt = echoes && common.template.sampling.logprobs != nil
        var request = try GenerationRequest(
            prompts: prompts.map(\.tokens), template: common.template, maxTokens: maxTokens,
            fields: common, model: model, param: "prompt")
        if common.template.scoresPrompt {
            let tokens = request.choices.reduce(0) { $0 + $1.prompt.count }
            guard tokens <= mostScoredTokens else {
                throw .invalid(
                    "`echo` with `logprobs` is of \(mostScoredTokens) tokens at most; these prompts have \(tokens).",
                    param: "prompt")
            }
        }
        if echoes {
            request.echoes = prompts.flatMap {
                Array(repeating: $0.text(model), count: common.choices)
            }
        }
        return request
    }

    fileprivate enum Prompt {
        case text(String, tokens: [Int])
        case tokens([Int])

        var tokens: [Int] {
            switch self {
            case .text(_, let tokens), .tokens(let tokens): tokens
            }
        }

        func text(_ model: ServedModel) -> String {
            switch self {
            case .text(let text, _): text
            case .tokens(let tokens): model.text(of: tokens)
            }
        }
    }

    private static func prompts(
        _ value: JSON?, _ model: ServedModel
    ) throws(APIError) -> [Prompt] {
        switch value {
        case nil:
            throw .invalid("`prompt` is missing.", param: "prompt")
        case .string(let text):
            return [model.prompt(text)]
        case .array(let elements):
            guard let first = elements.first else {
                throw .invalid("`prompt` must not be empty.", param: "prompt")
            }
            if case .number = first { return [.tokens(try tokens(elements, model))] }
            guard elements.count <= mostPrompts else {
                throw .invalid(
                    "`prompt` has \(elements.count) elements; at most \(mostPrompts) are allowed.",
                    param: "prompt")
            }
            var prompts: [Prompt] = []
            for element in elements {
                switch element {
                case .string(let text): prompts.append(model.prompt(text))
                case .array(let ids) where !ids.isEmpty:
                    prompts.append(.tokens(try tokens(ids, model)))
                default:
                    throw .invalid(
                        "`prompt` must hold strings, token ids or arrays of token ids.",
                        param: "prompt")
                }
            }
            return prompts
        case .some(let other):
            throw .invalid(
                "`prompt` must be a string or an array, not \(other.typeName).", param: "prompt")
        }
    }

    private static func tokens(_ ids: [JSON], _ model: ServedModel) throws(APIError) -> [Int] {
        var tokens: [Int] = []
        tokens.reserveCapacity(ids.count)
        for id in ids {
            tokens.append(
                try FieldReader.int(id, in: 0...model.vocabularySize - 1, named: "prompt"))
        }
        return tokens
    }
}

extension ServedModel {
    fileprivate func prompt(_ text: String) -> GenerationRequest.Prompt {
        .text(text, tokens: tokenizer.encode(text, addSpecialTokens: true).map(Int.init))
    }

    /// The text of tokens that a client sent; tokens that the tokenizer does not know have none.
    func text(of tokens: [Int]) -> String {
        let bytes = tokens.flatMap { TokenID(exactly: $0).flatMap(tokenizer.bytes(of:)) ?? [] }
        return String(decoding: bytes, as: UTF8.self)
    }
}
