/// ARC-Challenge (Clark et al. 2018, arXiv 1803.05457): science questions with three to five answers. Fields:
/// `question`, `choices` with `text` and `label` (lists of equal length), `answerKey`.
struct ARCDocument: TaskDocument {
    struct Choices: Decodable, Equatable {
        let text: [String]
        let label: [String]
    }

    private let text: String
    private let choices: Choices
    private let answerKey: String

    private enum CodingKeys: String, CodingKey {
        case choices, answerKey
        case text = "question"
    }

    var fault: String? {
        if choices.text.count != choices.label.count {
            return "\(choices.text.count) choices and \(choices.label.count) labels"
        }
        return gold == nil ? "answerKey \(answerKey.debugDescription) is none of the labels" : nil
    }
    var question: String { "Question: \(text)\nAnswer:" }
    var answer: String { gold.map { choices.text[$0] } ?? "" }
    private var gold: Int? { choices.label.firstIndex(of: answerKey) }

    func query(after preamble: String) -> TaskQuery {
        Self.choices(choices.text, after: preamble + question, gold: gold ?? 0)
    }
}
