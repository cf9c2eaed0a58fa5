import Artifacts
import Foundation
import Testing

@testable import Evaluate

/// The same documents, scored by lm-evaluation-harness on the same checkpoint.
@Suite("Tasks against the harness")
struct TaskReferenceTests {
    private struct Expected: Decodable {
        let task: String
        let doc_id: Int
        let filter: String
        let acc: Double?
        let acc_norm: Double?
        let exact_match: Double?
        let loglikelihoods: [Double]?
        let greedy: [Bool]?
        let response: String?
        let filtered: String?
    }

    private static func expected(_ task: BenchmarkTask, _ folder: String) throws -> [Expected] {
        let bytes = try TestData.bytes("\(folder)/\(task.rawValue).jsonl")
        return try bytes.split(separator: 0x0A).map {
            try JSONDecoder().decode(Expected.self, from: $0)
        }
    }

    private struct Key: Hashable {
        let task: String
        let document: Int
    }

    /// Runs as many documents as the reference holds, and looks at each.
    private static func compare(
        _ task: BenchmarkTask, folder: String, shots: Int?, data: String
    ) throws {
        let expected = try Self.expected(task, folder)
        var stage = TaskStage(model: TestData.tiny, tasks: [task], folder: data)
        stage.limit = 1 + (expected.map(\.doc_id).max() ?? 0)
        stage.shots = shots
        let journal = TaskJournal()
        let report = try stage.run(journal: journal) { _, _, _ in }
        let items = Dictionary(
            uniqueKeysWithValues: journal.items.map {
                (Key(task: $0.task, document: $0.document), $0)
            })
        var (deviation, choices, agreeing) = (0.0, 0, 0)
        for one in expected {
            let item = try #require(items[Key(task: one.task, document: one.doc_id)])
            for (ours, theirs) in zip(item.logLikelihoods ?? [], one.loglikelihoods ?? []) {
                deviation = max(deviation, abs(ours - theirs))
            }
            #expect(item.logLikelihoods?.count == one.loglikelihoods?.count)
            for (metric, value) in [
                ("acc", one.acc), ("acc_norm", one.acc_norm), ("exact_match", one.exact_match),
            ] {
                guard let value else { continue }
                choices += 1
                if item.metrics["\(metric),\(one.filter)"] == value { agreeing += 1 }
            }
            if let response = one.response {
                choices += 2
                if item.response == response { agreeing += 1 }
                if (item.numbers?[one.filter] ?? "[invalid]") == one.filtered { agreeing += 1 }
            }
        }
        print(
            "\(task): \(items.count) documents, log-likelihoods off by at most \(deviation), \(agreeing) of \(choices) decisions equal"
        )
        #expect(!expected.isEmpty && journal.items.count == items.count)
        #expect(deviation <= 1e-3)
        #expect(Double(agreeing) >= 0.99 * Double(choices))
        try compare(report, to: "\(folder)/\(task.rawValue).json")
    }

    /// Aggregated results, where each document's are the same.
    private static func compare(_ report: TaskReport, to file: String) throws {
        let summary = try JSONSerialization.jsonObject(with: TestData.bytes(file))
        let expected = try #require(summary as? [String: [String: Any]])
        let task = report.tasks[0]
        var compared = 0
        for score in [task.score] + task.groups + task.subjects {
            let values = try #require(expected[score.task])
            for (metric, value) in score.metrics {
                // A perplexity's error is of first order here and drawn there.
                let bound = metric.hasPrefix("perplexity_stderr") ? 0.3 : 2e-4
                let wanted = try #require(values[metric] as? Double)
                #expect(
                    abs(value - wanted) <= bound * max(abs(wanted), 1e-3),
                    "\(score.task) \(metric): \(value), the harness \(wanted)")
                compared += 1
            }
        }
        #expect(compared > 0)
    }

    @Test(
        "per document", .enabled(if: TestData.hasTaskReference), arguments: BenchmarkTask.allCases)
    func documents(_ task: BenchmarkTask) throws {
        try Self.compare(
            task, folder: TestData.taskReference, shots: nil, data: TestData.data + "/data/eval")
    }

    @Test(
        "few-shot examples, per document", .enabled(if: TestData.hasTaskReference),
        arguments: [BenchmarkTask.lambada, .gsm8k, .arcChallenge, .winogrande, .hellaswag])
    func fewShot(_ task: BenchmarkTask) throws {
        // The training sets that examples are drawn from are made up: the documents themselves.
        let folder = TestData.taskReference + "/few-shot"
        try Self.compare(task, folder: folder, shots: 2, data: folder + "/data")
    }
}
