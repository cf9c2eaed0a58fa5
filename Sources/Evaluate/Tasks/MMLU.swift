/// MMLU (Hendrycks et al. 2020, arXiv 2009.03300): 57 subjects, four choices; each choice is its letter. Fields:
/// `question`, `subject`, `choices` (four), `answer` (0 to 3).
struct MMLUDocument: TaskDocument {
    private let text: String
    let subject: String
    private let choices: [String]
    private let gold: Int

    private enum CodingKeys: String, CodingKey {
        case subject, choices
        case text = "question"
        case gold = "answer"
    }

    private static let letters = ["A", "B", "C", "D"]

    var fault: String? {
        if choices.count != Self.letters.count { return "\(choices.count) choices, not 4" }
        if !choices.indices.contains(gold) { return "answer \(gold) is none of 0 to 3" }
        return MMLUGroup(of: subject) == nil
            ? "unknown subject \(subject.debugDescription)" : nil
    }
    var question: String {
        let lines = zip(Self.letters, choices).map { "\($0). \($1)\n" }
        return text.stripped + "\n" + lines.joined() + "Answer:"
    }
    var answer: String { Self.letters[gold] }

    func query(after preamble: String) -> TaskQuery {
        Self.choices(Self.letters, after: preamble + question, gold: gold)
    }

    /// What a prompt about `subject` begins with.
    static func description(of subject: String) -> String {
        let name = subject.replacing(every: "_", by: " ")
        return "The following are multiple choice questions (with answers) about \(name).\n\n"
    }
}

/// The four fields that the subjects belong to.
enum MMLUGroup: String, CaseIterable {
    case stem, other, humanities
    case socialSciences = "social_sciences"

    init?(of subject: String) {
        guard let group = Self.allCases.first(where: { $0.subjects.contains(subject) }) else {
            return nil
        }
        self = group
    }

    private var subjects: Set<String> {
        switch self {
        case .stem: Self.stemSubjects
        case .other: Self.otherSubjects
        case .humanities: Self.humanitiesSubjects
        case .socialSciences: Self.socialSubjects
        }
    }

    private static let stemSubjects: Set = [
        "abstract_algebra", "anatomy", "astronomy", "college_biology", "college_chemistry",
        "college_computer_science", "college_mathematics", "college_physics",
        "computer_security", "conceptual_physics", "electrical_engineering",
        "elementary_mathematics", "high_school_biology", "high_school_chemistry",
        "high_school_computer_science", "high_school_mathematics", "high_school_physics",
        "high_school_statistics", "machine_learning",
    ]
    private static let otherSubjects: Set = [
        "business_ethics", "clinical_knowledge", "college_medicine", "global_facts",
        "human_aging", "management", "marketing", "medical_genetics", "miscellaneous",
        "nutrition", "professional_accounting", "professional_medicine", "virology",
    ]
    private static let humanitiesSubjects: Set = [
        "formal_logic", "high_school_european_history", "high_school_us_history",
        "high_school_world_history", "international_law", "jurisprudence",
        "logical_fallacies", "moral_disputes", "moral_scenarios", "philosophy", "prehistory",
        "professional_law", "world_religions",
    ]
    private static let socialSubjects: Set = [
        "econometrics", "high_school_geography", "high_school_government_and_politics",
        "high_school_macroeconomics", "high_school_microeconomics", "high_school_psychology",
        "human_sexuality", "professional_psychology", "public_relations", "security_studies",
        "sociology", "us_foreign_policy",
    ]
}
