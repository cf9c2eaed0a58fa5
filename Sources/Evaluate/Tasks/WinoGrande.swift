/// WinoGrande (Sakaguchi et al. 2019, arXiv 1907.10641), scored on what stands behind the blank ("partial
/// evaluation", Trinh and Le 2018): after which option is the rest of the sentence likelier. Fields: `sentence`
/// with one `_`, `option1`, `option2`, `answer` ("1" or "2").
struct WinoGrandeDocument: TaskDocument {
    private let sentence: String
    private let option1: String
    private let option2: String
    private let answerNumber: String

    private enum CodingKeys: String, CodingKey {
        case sentence, option1, option2
        case answerNumber = "answer"
    }

    var fault: String? {
        if !sentence.unicodeScalars.contains("_") { return "no _ in the sentence" }
        if answer.isEmpty { return "nothing stands behind the _" }
        return ["1", "2"].contains(answerNumber)
            ? nil : "answer \(answerNumber.debugDescription) is not \"1\" or \"2\""
    }
    var question: String { contexts[gold] }
    /// What stands behind the blank.
    var answer: String { parts.rest.stripped }

    private var gold: Int { answerNumber == "2" ? 1 : 0 }
    private var parts: (before: String, rest: String) {
        let scalars = sentence.unicodeScalars
        let blank = scalars.firstIndex(of: "_") ?? scalars.endIndex
        return (String(scalars[..<blank]), String(scalars[blank...].dropFirst()))
    }
    private var contexts: [String] { [option1, option2].map { parts.before + $0 } }

    func query(after preamble: String) -> TaskQuery {
        .choice(
            contexts.map { PromptPair(context: preamble + $0, continuation: " " + answer) },
            lengths: contexts.map(\.unicodeScalars.count), gold: gold)
    }
}
