import Text

extension GenerationRequest {
    static let mostMessages = 4_096
    static let mostTools = 128

    /// Reads the body of /v1/chat/completions.
    static func chat(_ body: JSON, _ model: ServedModel) throws(APIError) -> GenerationRequest {
        var fields = try FieldReader(body)
        var common = try CommonFields(&fields, model)
        let wantsLogprobs = try fields.bool("logprobs") ?? false
        let top = try fields.int("top_logprobs", in: 0...20)
        guard top == nil || wantsLogprobs else {
            throw .invalid("`top_logprobs` needs `logprobs` to be true.", param: "top_logprobs")
        }
        if wantsLogprobs { common.template.sampling.logprobs = top ?? 0 }
        let limit = 1...Int(Int32.max)
        let older = try fields.int("max_tokens", in: limit)
        let maxTokens = try fields.int("max_completion_tokens", in: limit) ?? older
        let messages = try Self.messages(fields.array("messages", atMost: mostMessages))
        let tools = try Self.tools(&fields)
        common.template.constraint = try Self.constraint(fields.value("response_format"), model)
        // What OpenAI's clients send, and what says nothing that is not so anyway.
        try fields.accept("parallel_tool_calls", only: .bool(true))
        try fields.accept("store", only: .bool(false))
        fields.ignore(
            "metadata", "service_tier", "safety_identifier", "prompt_cache_key",
            "reasoning_effort", "verbosity")
        try fields.finish()
        let prompt = try ChatPrompt(model: model).tokens(
            .init(messages: messages, tools: tools, addGenerationPrompt: true))
        return try GenerationRequest(
            prompts: [prompt], template: common.template, maxTokens: maxTokens, fields: common,
            model: model, param: "messages")
    }

    private static func constraint(
        _ format: JSON?, _ model: ServedModel
    ) throws(APIError) -> (any TokenConstraint)? {
        guard let format else { return nil }
        let fields = try FieldReader(format, at: "response_format")
        if format["type"] == .string("text") { return nil }
        guard let constrain = model.constrain else {
            throw .invalid(
                "`\(fields.name("type"))` other than text is not supported.",
                param: "response_format")
        }
        do {
            return try constrain(format)
        } catch {
            throw .invalid("`response_format` cannot be used: \(error)", param: "response_format")
        }
    }

    private static func tools(_ fields: inout FieldReader) throws(APIError) -> [JSON] {
        let tools = try fields.array("tools", atMost: mostTools) ?? []
        for tool in tools {
            guard tool["type"] == .string("function"), let name = tool["function"]?["name"]?.string,
                !name.isEmpty
            else {
                throw .invalid(
                    "Each of `tools` must be of type function and have a function with a name.",
                    param: "tools")
            }
        }
        guard let choice = fields.value("tool_choice") else { return tools }
        switch choice {
        case .string("auto"): return tools
        case .string("none"): return []
        default:
            throw .invalid(
                "`tool_choice` other than auto and none is not supported.", param: "tool_choice")
        }
    }

    // MARK: Messages

    private static let roles: Set = ["system", "developer", "user", "assistant", "tool"]

    /// Messages with their contents as strings.
    static func messages(_ messages: [JSON]?) throws(APIError) -> [JSON] {
        guard let messages else { throw .invalid("`messages` is missing.", param: "messages") }
        guard !messages.isEmpty else {
            throw .invalid("`messages` must not be empty.", param: "messages")
        }
        var plain: [JSON] = []
        for (index, message) in messages.enumerated() {
            plain.append(try Self.message(message, at: "messages.\(index)"))
        }
        return plain
    }

    private static func message(_ message: JSON, at path: String) throws(APIError) -> JSON {
        var fields = try FieldReader(message, at: path)
        guard let role = try fields.string("role"), roles.contains(role) else {
            throw .invalid(
                "`\(fields.name("role"))` must be one of \(roles.sorted().joined(separator: ", ")).",
                param: fields.name("role"))
        }
        var members = [JSON.Member(key: "role", value: .string(role))]
        let calls = role == "assistant" ? try fields.array("tool_calls", atMost: mostTools) : nil
        for call in calls ?? [] {
            guard case .object = call else {
                throw .invalid(
                    "`\(fields.name("tool_calls"))` must hold objects, not \(call.typeName).",
                    param: fields.name("tool_calls"))
            }
        }
        switch fields.value("content") {
        case nil:
            guard calls != nil else {
                throw .invalid(
                    "`\(fields.name("content"))` is missing.", param: fields.name("content"))
            }
        case .some(let content):
            let text = try Self.text(content, at: fields.name("content"))
            members.append(.init(key: "content", value: .string(text)))
        }
        if let calls { members.append(.init(key: "tool_calls", value: .array(calls))) }
        if let name = try fields.string("name") {
            members.append(.init(key: "name", value: .string(name)))
        }
        if role == "tool", let id = try fields.string("tool_call_id") {
            members.append(.init(key: "tool_call_id", value: .string(id)))
        }
        if role == "assistant" {
            if let thoughts = try fields.string("reasoning_content") {
                members.append(.init(key: "reasoning_content", value: .string(thoughts)))
            }
            try fields.accept("refusal")
            try fields.accept("function_call")
            try fields.accept("audio")
            try fields.accept("annotations", only: .array([]))
        }
        try fields.finish()
        return .object(members)
    }

    /// A string, or the texts of an array of parts.
    static func text(_ content: JSON, at path: String) throws(APIError) -> String {
        switch content {
        case .string(let text): return text
        case .array(let parts):
            var text = ""
            for part in parts {
                guard
                    ["text", "input_text", "output_text"].contains(part["type"]?.string),
                    let piece = part["text"]?.string
                else {
                    throw .invalid(
                        "`\(path)` must hold parts of type text: this model reads nothing else.",
                        param: path)
                }
                text += piece
            }
            return text
        default:
            throw .invalid(
                "`\(path)` must be a string or an array, not \(content.typeName).", param: path)
        }
    }
}
