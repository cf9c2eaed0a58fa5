import Text

extension GenerationRequest {
    /// Reads the body of /v1/responses: text in, text out, nothing stored.
    static func responses(_ body: JSON, _ model: ServedModel) throws(APIError) -> GenerationRequest
    {
        var fields = try FieldReader(body)
        let common = try CommonFields(&fields, model)
        guard common.choices == 1 else {
            throw .invalid("`n` other than 1 is not supported here.", param: "n")
        }
        let maxTokens = try fields.int("max_output_tokens", in: 1...Int(Int32.max))
        var messages: [JSON] = []
        if let instructions = try fields.string("instructions") {
            messages.append(message("system", instructions))
        }
        switch fields.value("input") {
        case nil: throw .invalid("`input` is missing.", param: "input")
        case .string(let text): messages.append(message("user", text))
        case .array(let items):
            guard !items.isEmpty, items.count <= mostMessages else {
                throw .invalid("`input` must have 1 to \(mostMessages) items.", param: "input")
            }
            for (index, item) in items.enumerated() {
                messages.append(try Self.item(item, at: "input.\(index)"))
            }
        case .some(let other): throw fields.wrong("input", "a string or an array", other)
        }
        // Nothing is stored, so there is nothing to go on from.
        try fields.accept("previous_response_id")
        try fields.accept("background", only: .bool(false))
        try fields.accept("tools", only: .array([]))
        try fields.accept("truncation", only: .string("disabled"))
        if let text = fields.value("text") {
            var text = try FieldReader(text, at: "text")
            if let format = text.value("format"), format["type"] != .string("text") {
                throw .invalid(
                    "`text.format` other than text is not supported.", param: "text.format")
            }
            text.ignore("verbosity")
            try text.finish()
        }
        fields.ignore("store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key")
        try fields.finish()
        let prompt = try ChatPrompt(model: model).tokens(
            .init(messages: messages, tools: [], addGenerationPrompt: true))
        return try GenerationRequest(
            prompts: [prompt], template: common.template, maxTokens: maxTokens, fields: common,
            model: model, param: "input")
    }

    private static func item(_ item: JSON, at path: String) throws(APIError) -> JSON {
        guard item["type"] == nil || item["type"] == .string("message"),
            let role = item["role"]?.string,
            ["user", "assistant", "system", "developer"].contains(role),
            let content = item["content"]
        else {
            throw .invalid(
                "`\(path)` must be a message with a role and a content.", param: path)
        }
        return message(role, try text(content, at: "\(path).content"))
    }

    private static func message(_ role: String, _ text: String) -> JSON {
        .object([
            .init(key: "role", value: .string(role)), .init(key: "content", value: .string(text)),
        ])
    }
}
