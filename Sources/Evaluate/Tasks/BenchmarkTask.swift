/// The tasks, and what the reference harness (lm-evaluation-harness 0.4) calls them.
package enum BenchmarkTask: String, CaseIterable, Sendable {
    case lambada, hellaswag, winogrande, mmlu, gsm8k
    case arcChallenge = "arc-challenge"

    package var harnessName: String {
        switch self {
        case .lambada: "lambada_openai"
        case .arcChallenge: "arc_challenge"
        case .hellaswag, .winogrande, .mmlu, .gsm8k: rawValue
        }
    }

    /// Few-shot examples that results are usually reported with.
    package var standardShots: Int {
        switch self {
        case .mmlu, .gsm8k: 5
        case .lambada, .hellaswag, .winogrande, .arcChallenge: 0
        }
    }

    /// Files of the documents, below the folder of all tasks; the first that is there counts. Each may also be
    /// compressed: `.xz`, `.gz`.
    var files: [String] {
        switch self {
        case .lambada: ["lambada/lambada_openai.jsonl", "lambada/test.jsonl"]
        case .hellaswag: ["hellaswag/validation.jsonl", "hellaswag/hellaswag_subset.jsonl"]
        case .winogrande: ["winogrande/validation.jsonl"]
        case .arcChallenge: ["arc-challenge/test.jsonl", "arc-challenge/validation.jsonl"]
        case .mmlu: ["mmlu/test.jsonl"]
        case .gsm8k: ["gsm8k/test.jsonl"]
        }
    }

    /// Files of the documents that few-shot examples are drawn from.
    var exampleFiles: [String] {
        switch self {
        case .lambada: files
        case .mmlu: ["mmlu/dev.jsonl"]
        case .hellaswag, .winogrande, .arcChallenge, .gsm8k: ["\(rawValue)/train.jsonl"]
        }
    }
}
