/// The chat templates of a checkpoint, and the special tokens that they name.
package struct CheckpointTemplates: Sendable {
    /// Sources by name; a checkpoint with one template calls it "default".
    package let sources: [String: String]
    /// `bos_token`, `eos_token` and their like, as variables.
    package let specialTokens: [String: TemplateValue]

    private static let tokenNames = [
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    ]
    private static let fileLimit = 64 << 20

    /// Reads `chat_template.jinja`, `additional_chat_templates/`'s `tool_use.jinja` and what
    /// `tokenizer_config.json` says; of these, files come before the configuration.
    /// - Parameter folder: a checkpoint in the layout of Hugging Face.
    package init(folder: String) throws(CheckpointTemplateError) {
        var sources: [String: String] = [:]
        var tokens: [String: TemplateValue] = [:]
        if let bytes = try Self.read("\(folder)/tokenizer_config.json") {
            let root: JSONValue
            do { root = try JSONDocument(bytes).root } catch {
                throw CheckpointTemplateError(
                    file: "\(folder)/tokenizer_config.json",
                    cause: "byte \(error.offset): \(error.cause)")
            }
            sources = try Self.sources(
                root["chat_template"], file: "\(folder)/tokenizer_config.json")
            for name in Self.tokenNames {
                let token = root[name]
                if let text = token?.string ?? token?["content"]?.string {
                    tokens[name] = .text(text)
                }
            }
        }
        if let bytes = try Self.read("\(folder)/chat_template.jinja") {
            // As in transformers, a file replaces all that the configuration says.
            sources = ["default": String(decoding: bytes, as: UTF8.self)]
        }
        if let bytes = try Self.read("\(folder)/additional_chat_templates/tool_use.jinja") {
            sources["tool_use"] = String(decoding: bytes, as: UTF8.self)
        }
        self.sources = sources
        specialTokens = tokens
    }

    /// The template for a request, as transformers chooses: `tool_use` when there are tools and the
    /// checkpoint has one, else `default`; nil if there is none.
    package func source(hasTools: Bool) -> String? {
        if hasTools, let source = sources["tool_use"] { return source }
        return sources["default"]
    }

    private static func sources(
        _ value: JSONValue?, file: String
    ) throws(CheckpointTemplateError) -> [String: String] {
        guard let value, !value.isNull else { return [:] }
        if let source = value.string { return ["default": source] }
        var sources: [String: String] = [:]
        for index in value.elements {
            let item = JSONValue(document: value.document, index: index)
            guard let name = item["name"]?.string, let source = item["template"]?.string else {
                throw CheckpointTemplateError(
                    file: file, cause: "a chat_template without a name or a template")
            }
            sources[name] = source
        }
        guard value.kind == .array, !sources.isEmpty else {
            throw CheckpointTemplateError(
                file: file, cause: "chat_template is \(value.typeName), not a string or a list")
        }
        return sources
    }

    private static func read(_ path: String) throws(CheckpointTemplateError) -> [UInt8]? {
        do {
            return try FileContents.read(path, limit: fileLimit)
        } catch {
            if error.isMissing { return nil }
            throw CheckpointTemplateError(file: path, cause: error.cause)
        }
    }
}

/// Why a checkpoint's chat template cannot be read.
package struct CheckpointTemplateError: Error, Equatable, CustomStringConvertible {
    package let file: String
    package let cause: String

    package var description: String { "\(file): \(cause)" }
}
