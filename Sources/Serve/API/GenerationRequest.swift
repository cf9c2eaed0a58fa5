import Text

/// What a client wants generated, whichever endpoint it came by.
struct GenerationRequest: Sendable {
    /// Prompt after prompt, each with its choices.
    var choices: [EngineRequest] = []
    /// Of every prompt once.
    var promptTokens = 0
    /// Choices of each prompt.
    var choicesPerPrompt = 1
    var streams = false
    /// Whether a stream ends with the number of tokens.
    var includesUsage = false
    /// What stands before each choice's text.
    var echoes: [String] = []
    /// Around the calls that are to be taken out of the answers; `nil` where there are no tools.
    var toolCallMarks: ToolCallMarks?

    /// Most prompts times choices in one request.
    static let mostChoices = 128

    /// - Parameters:
    ///   - template: a choice without its prompt.
    ///   - maxTokens: `nil` asks for as many as there is room for.
    init(
        prompts: [[Int]], template: EngineRequest, maxTokens: Int?, fields: CommonFields,
        model: ServedModel, param: String
    ) throws(APIError) {
        guard prompts.count * fields.choices <= Self.mostChoices else {
            throw .invalid(
                "\(prompts.count) prompts with \(fields.choices) choices each are more than \(Self.mostChoices) answers.",
                param: "n")
        }
        (streams, includesUsage) = (fields.streams, fields.includesUsage)
        choicesPerPrompt = fields.choices
        for prompt in prompts {
            var prompt = prompt
            if prompt.isEmpty, let begin = model.beginToken { prompt = [begin] }
            let room = try Self.room(for: prompt, maxTokens, model, param: param)
            promptTokens += prompt.count
            for _ in 0..<fields.choices {
                var choice = template
                choice.prompt = prompt
                choice.maxTokens = room
                // Choices differ, and yet a seed gives the same ones again.
                choice.sampling.seed = template.sampling.seed &+ UInt64(choices.count)
                choices.append(choice)
            }
        }
    }

    /// - Returns: tokens that the answer may have.
    private static func room(
        for prompt: [Int], _ maxTokens: Int?, _ model: ServedModel, param: String
    ) throws(APIError) -> Int {
        guard !prompt.isEmpty else {
            throw .invalid("The prompt has no tokens.", param: param)
        }
        if let token = prompt.first(where: { !(0..<model.vocabularySize).contains($0) }) {
            throw .invalid(
                "Token \(token) is outside the vocabulary of \(model.vocabularySize).", param: param
            )
        }
        let capacity = model.capacity
        guard prompt.count < capacity else {
            throw .tooLong(
                "This model's context is \(capacity) tokens, and the prompt has \(prompt.count), which leaves no room for an answer.",
                param: param)
        }
        guard let maxTokens else { return capacity - prompt.count }
        guard prompt.count + maxTokens <= capacity else {
            throw .tooLong(
                "This model's context is \(capacity) tokens; \(prompt.count) of the prompt and \(maxTokens) of the answer are \(prompt.count + maxTokens).",
                param: param)
        }
        return maxTokens
    }
}

/// Fields that completions and chats have in common.
struct CommonFields {
    var template = EngineRequest(prompt: [], maxTokens: 1)
    var choices = 1
    var streams = false
    var includesUsage = false

    static let mostStops = 16
    static let longestStop = 128
    static let mostStopTokens = 128
    static let mostBiases = 1_024

    init(_ fields: inout FieldReader, _ model: ServedModel) throws(APIError) {
        try Self.check(try fields.string("model"), model)
        try readSampling(&fields)
        try readStops(&fields, model)
        try readBias(&fields, model)
        choices = try fields.int("n", in: 1...GenerationRequest.mostChoices) ?? 1
        streams = try fields.bool("stream") ?? false
        if let options = fields.value("stream_options") {
            var options = try FieldReader(options, at: "stream_options")
            includesUsage = try options.bool("include_usage") ?? false
            _ = try options.bool("include_obfuscation")
            try options.finish()
        }
        _ = try fields.string("user")
    }

    static func check(_ name: String?, _ model: ServedModel) throws(APIError) {
        guard let name, name != model.name else { return }
        var error = APIError.notFound(
            "The model `\(name.quotedForMessage)` does not exist; this server has `\(model.name)`.",
            code: "model_not_found")
        error.param = "model"
        throw error
    }

    private mutating func readSampling(_ fields: inout FieldReader) throws(APIError) {
        var sampling = SamplingParameters()
        sampling.temperature = try fields.number("temperature", in: 0...2) ?? 1
        sampling.topP = try fields.number("top_p", in: 0...1) ?? 1
        // Nothing would be left; the likeliest token is what is meant.
        if sampling.topP == 0 { (sampling.topP, sampling.topK) = (1, 1) }
        // -1 and 0 mean all, as in vLLM.
        if let topK = try fields.int("top_k", in: -1...Int(Int32.max)), topK > 0 {
            sampling.topK = topK
        }
        sampling.minP = try fields.number("min_p", in: 0...1) ?? 0
        sampling.presencePenalty = try fields.number("presence_penalty", in: -2...2) ?? 0
        sampling.frequencyPenalty = try fields.number("frequency_penalty", in: -2...2) ?? 0
        sampling.repetitionPenalty = try fields.number("repetition_penalty", in: 0.01...100) ?? 1
        if let seed = try fields.int("seed", in: Int.min...Int.max) {
            sampling.seed = UInt64(bitPattern: Int64(seed))
        } else {
            sampling.seed = .random(in: 0...UInt64.max)
        }
        template.sampling = sampling
    }

    private mutating func readStops(
        _ fields: inout FieldReader, _ model: ServedModel
    ) throws(APIError) {
        switch fields.value("stop") {
        case nil: break
        case .string(let stop): template.stops = [stop]
        case .array(let stops):
            guard stops.count <= Self.mostStops else {
                throw .invalid(
                    "`stop` has \(stops.count) elements; at most \(Self.mostStops) are allowed.",
                    param: "stop")
            }
            for stop in stops {
                guard let stop = stop.string else {
                    throw .invalid("`stop` must hold strings, not \(stop.typeName).", param: "stop")
                }
                template.stops.append(stop)
            }
        case .some(let other): throw fields.wrong("stop", "a string or an array of strings", other)
        }
        guard
            template.stops.allSatisfy({
                (1...Self.longestStop).contains($0.unicodeScalars.count)
            })
        else {
            throw .invalid(
                "Each `stop` must have 1 to \(Self.longestStop) characters.", param: "stop")
        }
        for token in try fields.array("stop_token_ids", atMost: Self.mostStopTokens) ?? [] {
            template.stopTokens.insert(
                try FieldReader.int(
                    token, in: 0...model.vocabularySize - 1, named: "stop_token_ids"))
        }
        template.ignoresEnd = try fields.bool("ignore_eos") ?? false
    }

    private mutating func readBias(
        _ fields: inout FieldReader, _ model: ServedModel
    ) throws(APIError) {
        guard let value = fields.value("logit_bias") else { return }
        guard case .object(let members) = value else {
            throw fields.wrong("logit_bias", "an object", value)
        }
        guard members.count <= Self.mostBiases else {
            throw .invalid(
                "`logit_bias` has \(members.count) tokens; at most \(Self.mostBiases) are allowed.",
                param: "logit_bias")
        }
        for member in members {
            // Its own spelling only: "+5" and "05" are no ids.
            guard let token = Int(member.key), "\(token)" == member.key,
                (0..<model.vocabularySize).contains(token)
            else {
                throw .invalid(
                    "`logit_bias` names `\(member.key.quotedForMessage)`, which is no token from 0 to \(model.vocabularySize - 1).",
                    param: "logit_bias")
            }
            template.sampling.bias[token] = try FieldReader.number(
                member.value, in: -100...100, named: "logit_bias")
        }
    }
}
