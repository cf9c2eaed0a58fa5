import Foundation
import Testing
import Text

@testable import Evaluate

@Suite("TaskStage on the shipped model")
struct TaskStageTests {
    private let files: TaskFiles

    init() throws { files = try TaskFiles() }

    private func stage(_ tasks: [BenchmarkTask], reference: String? = nil) -> TaskStage {
        var stage = TaskStage(model: TestData.tiny, tasks: tasks, folder: files.path)
        stage.reference = reference
        return stage
    }

    private static let withoutGeneration: [BenchmarkTask] = [
        .lambada, .hellaswag, .arcChallenge, .winogrande, .mmlu,
    ]

    @Test("every task has the harness' metrics, and a model agrees with itself")
    func metrics() throws {
        var steps: [String: [Int]] = [:]
        let report = try stage(Self.withoutGeneration, reference: TestData.tiny).run {
            task, done, total in
            #expect(done <= total)
            steps[task, default: []].append(done)
        }
        let scores = report.tasks.map(\.score)
        #expect(
            scores.map(\.task) == [
                "lambada_openai", "hellaswag", "arc_challenge", "winogrande", "mmlu",
            ])
        #expect(scores.map(\.items) == [3, 2, 1, 1, 4])
        #expect(report.tasks.map(\.shots) == [0, 0, 0, 0, 5])
        #expect(
            steps.mapValues(\.last) == [
                "lambada": 3, "hellaswag": 2, "arc-challenge": 1,
                "winogrande": 1, "mmlu": 4,
            ])
        #expect(
            Set(scores[0].metrics.keys) == [
                "acc,none", "acc_stderr,none", "perplexity,none", "perplexity_stderr,none",
            ])
        #expect(
            Set(scores[1].metrics.keys) == [
                "acc,none", "acc_stderr,none", "acc_norm,none", "acc_norm_stderr,none",
            ])
        // One document says nothing about its error.
        #expect(Set(scores[2].metrics.keys) == ["acc,none", "acc_norm,none"])
        #expect(Set(scores[3].metrics.keys) == ["acc,none"])
        for score in scores {
            #expect(score.referenceMetrics == score.metrics)
            #expect(score.agreement?.values.allSatisfy { $0 == 1 } == true)
        }
        #expect(scores[0].agreement?.keys.sorted() == ["acc,none"])
        #expect(scores[1].agreement?.keys.sorted() == ["acc,none", "acc_norm,none"])
    }

    @Test("MMLU is averaged by subject and field, weighted by size")
    func mmlu() throws {
        let journal = TaskJournal()
        let task = try stage([.mmlu]).run(journal: journal) { _, _, _ in }.tasks[0]
        #expect(task.groups.map(\.task) == ["mmlu_stem", "mmlu_humanities"])
        #expect(task.subjects.map(\.task) == ["mmlu_anatomy", "mmlu_professional_law"])
        #expect(task.subjects.map(\.items) == [3, 1])
        let right = journal.items.reduce(0.0) { $0 + ($1.metrics["acc,none"] ?? 0) }
        #expect(task.score.metrics["acc,none"] == right / 4)
        #expect(task.groups[0].metrics == task.subjects[0].metrics)

        var limited = stage([.mmlu])
        (limited.limit, limited.shots) = (1, 0)
        let report = try limited.run { _, _, _ in }.tasks[0]
        #expect(report.subjects.map(\.items) == [1, 1] && report.shots == 0)
    }

    @Test("a perplexity is that of the last words, its error to first order")
    func perplexity() throws {
        let journal = TaskJournal()
        let score = try stage([.lambada]).run(journal: journal) { _, _, _ in }.tasks[0].score
        let values = journal.items.compactMap { $0.logLikelihoods?.first }
        let mean = values.reduce(0, +) / 3
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 2
        let perplexity = try #require(score.metrics["perplexity,none"])
        let error = try #require(score.metrics["perplexity_stderr,none"])
        #expect(abs(perplexity / exp(-mean) - 1) < 1e-12)
        #expect(abs(error / (perplexity * (variance / 3).squareRoot()) - 1) < 1e-12)
    }

    @Test("GSM8K's responses end where the next question begins")
    func gsm8k() throws {
        let journal = TaskJournal()
        var stage = stage([.gsm8k])
        stage.limit = 1
        let report = try stage.run(journal: journal) { _, _, _ in }
        let item = try #require(journal.items.first)
        let response = try #require(item.response)
        #expect(journal.items.count == 1 && !response.contains("Question:"))
        #expect(
            Set(report.tasks[0].score.metrics.keys) == [
                "exact_match,strict-match", "exact_match,flexible-extract",
            ])
        #expect(report.tasks[0].shots == 5)
        // What was found is what is in the response.
        for number in (item.numbers ?? [:]).values { #expect(response.contains(number)) }
    }

    @Test("few-shot examples never show the question itself")
    func examples() throws {
        let documents = (0..<4).map {
            #"{"activity_and_ctx": "A: \#($0)", "endings": ["x", "y"], "label": 0}"#
        }
        try files.write("hellaswag/train.jsonl", documents)
        try files.write("hellaswag/validation.jsonl", documents)
        let questions = try TaskQuestions(.hellaswag, in: files.path, limit: nil, shots: 3)
        for (index, query) in questions.parts[0].queries.enumerated() {
            guard case .choice(let pairs, _, _) = query else { continue }
            let others = (0..<4).filter { $0 != index }.map { "A: \($0) x" }
            let shown = pairs[0].context.components(separatedBy: "\n\n")
            #expect(Set(shown.dropLast()) == Set(others))
            #expect(shown.last == "A: \(index)")
        }
        let error = #expect(throws: TaskError.self) {
            _ = try TaskQuestions(.hellaswag, in: files.path, limit: nil, shots: 4)
        }
        #expect(error?.description.contains("hellaswag/train.jsonl") == true)
    }

    // MARK: Faults

    @Test(
        "a broken line is named, with its file and cause",
        arguments: [
            (#"{"question": "q""#, "line 2: broken JSON"),
            (#"{"question": "q"}"#, "line 2: no member \"choices\""),
            (
                #"{"question": 3, "choices": {"text": [], "label": []}, "answerKey": "A"}"#,
                "line 2: question is not String"
            ),
            (
                #"{"question": "q", "choices": {"text": ["a"], "label": ["A"]}, "answerKey": "B"}"#,
                "line 2: answerKey \"B\" is none of the labels"
            ),
            ("[1]", "line 2: "),
        ])
    func brokenLine(_ line: String, _ cause: String) throws {
        let good =
            #"{"question": "q", "choices": {"text": ["a"], "label": ["A"]}, "answerKey": "A"}"#
        try files.write("arc-challenge/test.jsonl", good, line)
        let error = #expect(throws: TaskError.self) {
            _ = try stage([.lambada, .arcChallenge]).run { _, _, _ in
                Issue.record("computed before all files were read")
            }
        }
        #expect(
            error?.description.contains("arc-challenge/test.jsonl: " + cause) == true, "\(error!)")
    }

    @Test("files that are not there, and empty ones")
    func missing() throws {
        try FileManager.default.removeItem(atPath: files.path + "/winogrande")
        try files.write("lambada/test.jsonl", "", "")
        for (task, name) in [
            (BenchmarkTask.winogrande, "winogrande/validation.jsonl"),
            (.lambada, "lambada/test.jsonl: no documents"),
        ] {
            let error = #expect(throws: TaskError.self) {
                _ = try stage([task]).run { _, _, _ in }
            }
            #expect(error?.description.contains(name) == true)
        }
    }

    @Test("a subject that is unknown, or has too few examples")
    func subjects() throws {
        let line = #"{"question": "q", "subject": "S", "choices": ["a","b","c","d"], "answer": 0}"#
        for (subject, cause) in [("cooking", "unknown subject"), ("virology", "5 examples")] {
            try files.write(
                "mmlu/test.jsonl", line.replacingOccurrences(of: "\"S\"", with: "\"\(subject)\""))
            let error = #expect(throws: TaskError.self) {
                _ = try stage([.mmlu]).run { _, _, _ in }
            }
            #expect(error?.description.contains(cause) == true)
        }
    }

    // MARK: The journal

    private struct Enough: Error {}

    @Test("a run that was stopped goes on where it was, with the same result")
    func resumption() throws {
        let stage = stage([.hellaswag, .winogrande], reference: TestData.tiny)
        let settings = try TaskJournal.Settings(stage)
        let (whole, file) = (files.path + "/whole.jsonl", files.path + "/items.jsonl")
        let uninterrupted = try TaskJournal(whole, settings, startsOver: false)
        _ = try stage.run(journal: uninterrupted) { _, _, _ in }
        try uninterrupted.finish()

        let stopped = try TaskJournal(file, settings, startsOver: false)
        #expect(throws: Enough.self) {
            _ = try stage.run(journal: stopped) { task, _, _ in
                if task == "winogrande" { throw Enough() }
            }
        }
        // As if the process had been killed while it wrote a line.
        let unfinished = URL(fileURLWithPath: file + ".unfinished")
        try (Data(contentsOf: unfinished) + Data(#"{"model":"#.utf8)).write(to: unfinished)
        #expect(!FileManager.default.fileExists(atPath: file))

        let resumed = try TaskJournal(file, settings, startsOver: false)
        var tasks: [String: Int] = [:]
        _ = try stage.run(journal: resumed) { task, _, _ in tasks[task, default: 0] += 1 }
        try resumed.finish()
        // What is known takes one step: it is done.
        #expect(tasks["hellaswag"] == 1 && tasks["winogrande"] == 3)
        #expect(try TestData.bytes(file) == TestData.bytes(whole))
        #expect(!FileManager.default.fileExists(atPath: unfinished.path))
        let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 2 * (2 + 1))
    }

    @Test("answers of other settings, or to other questions, are not taken")
    func otherRuns() throws {
        let file = files.path + "/items.jsonl"
        var other = stage([.arcChallenge])
        let journal = try TaskJournal(file, TaskJournal.Settings(other), startsOver: false)
        _ = try other.run(journal: journal) { _, _, _ in }

        other.elementType = .bfloat16
        let settings = try TaskJournal.Settings(other)
        let error = #expect(throws: JournalError.self) {
            _ = try TaskJournal(file, settings, startsOver: false)
        }
        #expect(error?.description.contains("items.jsonl.unfinished") == true)
        let forgetful = try TaskJournal(file, settings, startsOver: true)
        #expect(forgetful.items.isEmpty)

        let same = try TaskJournal(
            file, TaskJournal.Settings(stage([.arcChallenge])), startsOver: false)
        let questions = try TaskQuestions(.arcChallenge, in: files.path, limit: nil, shots: 0)
        #expect(same.items(TestData.tiny, questions.parts[0], 0..<1)?.count == 1)
        try files.write(
            "arc-challenge/test.jsonl",
            #"{"question": "q", "choices": {"text": ["a"], "label": ["A"]}, "answerKey": "A"}"#)
        let changed = try TaskQuestions(.arcChallenge, in: files.path, limit: nil, shots: 0)
        #expect(same.items(TestData.tiny, changed.parts[0], 0..<1) == nil)
    }
}
