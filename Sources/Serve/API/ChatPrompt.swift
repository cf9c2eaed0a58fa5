import Text

/// Turns a conversation into tokens. The template's control tokens count, those that stand in a client's texts are texts:
/// a mark is put into each of them, which is taken out where the rendered text is cut into what is encoded.
struct ChatPrompt {
    /// A noncharacter, which no text has a use for.
    private static let mark = Unicode.Scalar(0xFDD0 as UInt32) ?? "\u{0}"

    let model: ServedModel

    func tokens(_ conversation: ServedModel.Conversation) throws(APIError) -> [Int] {
        guard let render = model.render else {
            throw .invalid(
                "The model \(model.name) has no chat template; use /v1/completions.",
                code: "no_chat_template")
        }
        var safe = conversation
        do {
            safe.messages = try conversation.messages.map { try disarmed($0) }
            safe.tools = try conversation.tools.map { try disarmed($0) }
        } catch let error as APIError {
            throw error
        } catch {
            throw .invalid("\(error)")
        }
        let text: String
        do {
            text = try render(safe)
        } catch {
            throw .invalid(
                "The model's chat template cannot be applied: \(error)", param: "messages")
        }
        return text.unicodeScalars.split(separator: Self.mark)
            .flatMap { model.tokenizer.encode(String($0)) }.map(Int.init)
    }

    /// The same without texts that stand for control tokens.
    private func disarmed(_ json: JSON) throws -> JSON {
        switch json {
        case .null, .bool, .number: return json
        case .string(let text): return .string(try disarmed(text))
        case .array(let elements): return .array(try elements.map(disarmed))
        case .object(let members):
            return .object(
                try members.map { .init(key: try disarmed($0.key), value: try disarmed($0.value)) })
        }
    }

    private func disarmed(_ text: String) throws -> String {
        guard !text.unicodeScalars.contains(Self.mark) else {
            throw APIError.invalid("U+FDD0 is no character.", param: "messages")
        }
        var text = text
        for special in model.specialTexts where special.count > 1 && text.contains(special) {
            text = text.replacing(
                special, with: "\(special.prefix(1))\(Self.mark)\(special.dropFirst())")
        }
        return text
    }
}
