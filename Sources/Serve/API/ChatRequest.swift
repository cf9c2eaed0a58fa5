import Text

extension GenerationRequest {
    static let mostMessages = 4_096
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
        let choice = try ToolChoice(&fields)
        common.template.constraint = try Self.constraint(fields.value("response_format"), model)
        if let call = try choice.constraint(model) {
            guard common.template.constraint == nil else {
                throw .invalid(
                    "`response_format` and a tool that must be called exclude each other.",
                    param: "tool_choice")
            }
            common.template.constraint = call
        }
        // What OpenAI's clients send, and what says nothing that is not so anyway.
        try fields.accept("parallel_tool_calls", only: .bool(true))
        try fields.accept("store", only: .bool(false))
        fields.ignore(
            "metadata", "service_tier", "safety_identifier", "prompt_cache_key",
            "reasoning_effort", "verbosity")
        try fields.finish()
        let prompt = try ChatPrompt(model: model).tokens(
            .init(messages: messages, tools: choice.tools, addGenerationPrompt: true))
        var request = try GenerationRequest(
            prompts: [prompt], template: common.template, maxTokens: maxTokens, fields: common,
            model: model, param: "messages")
        if !choice.tools.isEmpty { request.toolCallMarks = model.toolCallMarks }
        return request
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
        let calls =
            role == "assistant" ? try fields.array("tool_calls", atMost: ToolChoice.mostTools) : nil
        var plainCalls: [JSON] = []
        for call in calls ?? [] {
            plainCalls.append(try Self.call(call, at: fields.name("tool_calls")))
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
        if calls != nil { members.append(.init(key: "tool_calls", value: .array(plainCalls))) }
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

    /// A call that an assistant made: templates want its arguments as an object, and clients send them as text.
    private static func call(_ call: JSON, at path: String) throws(APIError) -> JSON {
        guard case .object(let members) = call else {
            throw .invalid("`\(path)` must hold objects, not \(call.typeName).", param: path)
        }
        guard case .object(let function)? = call["function"],
            let text = call["function"]?["arguments"]?.string
        else { return call }
        let arguments: JSON
        do {
            arguments = try JSON(parsing: Array(text.utf8))
        } catch {
            throw .invalid(
                "`\(path)` has arguments that are not valid JSON: \(error).", param: path)
        }
        func replacing(_ members: [JSON.Member], _ key: String, _ value: JSON) -> JSON {
            .object(members.map { $0.key == key ? .init(key: key, value: value) : $0 })
        }
        return replacing(members, "function", replacing(function, "arguments", arguments))
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
