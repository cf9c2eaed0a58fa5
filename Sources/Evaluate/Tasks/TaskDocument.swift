import Artifacts

/// One line of a task's file: how it reads as a question, and as an example with its answer.
protocol TaskDocument: Decodable, Equatable {
    /// What is wrong with it, though its fields are there.
    var fault: String? { get }
    /// What a few-shot example shows before its answer.
    var question: String { get }
    var answer: String { get }
    /// - Parameter preamble: description and few-shot examples; what the question stands behind.
    func query(after preamble: String) -> TaskQuery
}

/// A context and what may follow it.
struct PromptPair: Equatable {
    let context: String
    let continuation: String
}

/// What a model is asked about one document.
enum TaskQuery: Equatable {
    /// Which of several texts is likeliest.
    /// - Parameters:
    ///   - pairs: one per choice.
    ///   - lengths: characters (Unicode scalars) of each choice, for the normalised accuracy.
    ///   - gold: index of the right choice.
    case choice([PromptPair], lengths: [Int], gold: Int)
    /// How likely a text is, and whether greedy decoding would write it.
    case continuation(PromptPair)
    /// What the model writes; `gold` is the reference's whole answer.
    case generation(prompt: String, gold: String)

    /// What is scored for it, one per choice.
    var pairs: [PromptPair] {
        switch self {
        case .choice(let pairs, _, _): pairs
        case .continuation(let pair): [pair]
        case .generation: []
        }
    }

    /// Tells queries apart: digits of a hash over all texts and the right answer.
    var hash: String {
        var fields = pairs.flatMap { [$0.context, $0.continuation] }
        switch self {
        case .choice(_, _, let gold): fields.append("\(gold)")
        case .continuation: break
        case .generation(let prompt, let gold): fields += [prompt, gold]
        }
        return String(Fingerprint(hashing: fields.map { Array($0.utf8) }).hex.prefix(16))
    }
}

extension TaskDocument {
    /// The document with its answer, as it stands in a prompt.
    var example: String { question + " " + answer + "\n\n" }

    /// A question with its choices behind a space each, which is how the harness joins them.
    static func choices(
        _ choices: [String], after context: String, gold: Int
    ) -> TaskQuery {
        .choice(
            choices.map { PromptPair(context: context, continuation: " " + $0) },
            lengths: choices.map(\.unicodeScalars.count), gold: gold)
    }
}
