/// GSM8K (Cobbe et al. 2021, arXiv 2110.14168): word problems; the model writes its answer. Fields: `question`,
/// `answer` (ends with `#### NUMBER`).
struct GSM8KDocument: TaskDocument {
    private let text: String
    let answer: String

    private enum CodingKeys: String, CodingKey {
        case answer
        case text = "question"
    }

    var fault: String? { nil }
    var question: String { "Question: \(text)\nAnswer:" }

    func query(after preamble: String) -> TaskQuery {
        .generation(prompt: preamble + question, gold: answer)
    }

    /// What ends a response, and how many tokens it may have.
    static let stops = ["Question:", "</s>", "<|im_end|>"]
    static let responseTokens = 256
}

/// How a number is found in a response, and compared.
enum NumberExtraction: String, CaseIterable {
    /// What stands behind the first `####`.
    case strict = "strict-match"
    /// The last number.
    case flexible = "flexible-extract"

    /// The number as it was written; nil where there is none.
    func number(in response: String) -> String? {
        switch self {
        case .strict:
            let pattern = /#### (-?[0-9.,]+)/.matchingSemantics(.unicodeScalar)
            return response.firstMatch(of: pattern).map { String($0.1) }
        case .flexible:
            let pattern = /(-?[$0-9.,]{2,})|(-?[0-9]+)/.matchingSemantics(.unicodeScalar)
            return response.matches(of: pattern).last.map { String($0.0) }
        }
    }

    /// Whether `response` gives the number that `gold` ends with. Both are stripped of commas, dollar signs,
    /// all up to the last `#### `, and a final dot.
    func matches(_ response: String, gold: String) -> Bool {
        let number = number(in: response) ?? "[invalid]"
        return Self.normalized(number) == Self.normalized(gold)
    }

    private static func normalized(_ text: String) -> String {
        var scalars = Array(text.unicodeScalars.filter { $0 != "," && $0 != "$" })
        let mark = Array("#### ".unicodeScalars)
        if let start = scalars.indices.last(where: { scalars[$0...].starts(with: mark) }) {
            scalars.removeFirst(start + mark.count)
        }
        // In Python's expressions `$` also stands before a final line feed.
        if scalars.last == "." {
            scalars.removeLast()
        } else if scalars.count > 1, scalars.last == "\n", scalars[scalars.count - 2] == "." {
            scalars.remove(at: scalars.count - 2)
        }
        return String(String.UnicodeScalarView(scalars)).lowercased()
    }
}
