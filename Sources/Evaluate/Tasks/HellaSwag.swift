/// HellaSwag (Zellers et al. 2019, arXiv 1905.07830): which of four endings goes on. Fields: `endings`, `label`, and
/// `activity_label`, `ctx_a`, `ctx_b` or all three in `activity_and_ctx`.
struct HellaSwagDocument: TaskDocument {
    let question: String
    private let endings: [String]
    private let label: Int

    private enum CodingKeys: String, CodingKey {
        case endings, label, activity_label, ctx_a, ctx_b, activity_and_ctx
    }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let context =
            fields.contains(.activity_and_ctx)
            ? try fields.decode(String.self, forKey: .activity_and_ctx)
            : try fields.decode(String.self, forKey: .activity_label) + ": "
                + fields.decode(String.self, forKey: .ctx_a) + " "
                + fields.decode(String.self, forKey: .ctx_b).capitalizedAsSentence
        question = Self.cleaned(context)
        endings = try fields.decode([String].self, forKey: .endings).map(Self.cleaned)
        label = try fields.decodeInteger(forKey: .label)
    }

    var fault: String? {
        if endings.isEmpty { return "no endings" }
        return endings.indices.contains(label)
            ? nil : "label \(label) is none of the \(endings.count) endings"
    }
    var answer: String { endings[label] }

    func query(after preamble: String) -> TaskQuery {
        Self.choices(endings, after: preamble + question, gold: label)
    }

    /// The harness' `preprocess`: WikiHow's marks in brackets are taken out.
    static func cleaned(_ text: String) -> String {
        withoutBrackets(text.stripped.replacing(every: " [title]", by: ". "))
            .replacing(every: "  ", by: " ")
    }

    /// `re.sub("\[.*?\]", "", text)`: a dot is any character but a line feed.
    private static func withoutBrackets(_ text: String) -> String {
        var output = ""
        var rest = text.unicodeScalars[...]
        while let open = rest.firstIndex(of: "[") {
            output.unicodeScalars += rest[..<open]
            rest = rest[open...]
            let line = rest.prefix { $0 != "\n" }
            if let close = line.firstIndex(of: "]") {
                rest = rest[rest.index(after: close)...]
            } else {
                // No bracket of this line is closed.
                output.unicodeScalars += line
                rest = rest[line.endIndex...]
            }
        }
        output.unicodeScalars += rest
        return output
    }
}

extension KeyedDecodingContainer {
    /// A number, or its digits in a string.
    func decodeInteger(forKey key: Key) throws -> Int {
        do {
            return try decode(Int.self, forKey: key)
        } catch DecodingError.typeMismatch {
            guard let number = Int(try decode(String.self, forKey: key)) else {
                throw DecodingError.dataCorruptedError(
                    forKey: key, in: self, debugDescription: "not a number")
            }
            return number
        }
    }
}
