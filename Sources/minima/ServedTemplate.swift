import Serve
import Text

/// A checkpoint's own chat templates, as the server applies them.
struct ServedTemplate: Sendable {
    private let plain: ChatTemplate
    /// Where there are tools.
    private let withTools: ChatTemplate
    private let specialTokens: [String: TemplateValue]
    /// How the model writes a call of a tool, where it is known.
    let toolCallMarks: ToolCallMarks?

    /// - Returns: `nil` where the checkpoint has none.
    init?(folder: String) throws {
        let templates = try CheckpointTemplates(folder: folder)
        guard let source = templates.source(hasTools: false) ?? templates.source(hasTools: true)
        else { return nil }
        plain = try ChatTemplate(source)
        withTools = try ChatTemplate(templates.source(hasTools: true) ?? source)
        specialTokens = templates.specialTokens
        let text = templates.source(hasTools: true) ?? source
        let marks = ToolCallMarks.hermes
        // Qwen3-Coder has the same marks around something else.
        let isHermes =
            text.contains(marks.open) && text.contains(marks.close) && !text.contains("<function=")
        toolCallMarks = isHermes ? marks : nil
    }

    func render(_ conversation: ServedModel.Conversation) throws -> String {
        var variables = specialTokens
        variables["messages"] = try TemplateValue(json: JSON.array(conversation.messages).utf8)
        if !conversation.tools.isEmpty {
            variables["tools"] = try TemplateValue(json: JSON.array(conversation.tools).utf8)
        }
        variables["add_generation_prompt"] = .bool(conversation.addGenerationPrompt)
        return try (conversation.tools.isEmpty ? plain : withTools).render(variables)
    }
}
