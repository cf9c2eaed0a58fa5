/// LAMBADA (Paperno et al. 2016, arXiv 1606.06031) as `lambada_openai`: is the last word what the model would write,
/// and how likely is it. Fields: `text`, or `context` and `continuation`, which a space joins.
struct LambadaDocument: TaskDocument {
    private let context: String
    private let lastWord: String

    private enum CodingKeys: String, CodingKey { case text, context, continuation }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let text =
            fields.contains(.text)
            ? try fields.decode(String.self, forKey: .text)
            : try fields.decode(String.self, forKey: .context) + " "
                + fields.decode(String.self, forKey: .continuation)
        let words = text.unicodeScalars.split(separator: " ", omittingEmptySubsequences: false)
        lastWord = words.last.map { String($0) } ?? ""
        context = words.dropLast().map { String($0) }.joined(separator: " ")
    }

    var fault: String? { lastWord.isEmpty ? "the text ends with a space: no last word" : nil }
    var question: String { context }
    /// With a space of its own: in few-shot examples the harness puts two.
    var answer: String { " " + lastWord }

    func query(after preamble: String) -> TaskQuery {
        .continuation(PromptPair(context: preamble + context, continuation: answer))
    }
}
