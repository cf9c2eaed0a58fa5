// checkpoint + tasks' documents (+ reference checkpoint) → accuracies.
import Artifacts
import Foundation
import Models
import Tensors
import Text

package struct TaskStage {
    package let model: String
    package var reference: String?
    package let tasks: [BenchmarkTask]
    /// Of the tasks' files.
    package let folder: String
    /// Documents of each task (of each subject of one with subjects) at most; `nil` takes all.
    package var limit: Int?
    /// Few-shot examples; `nil` takes each task's usual number.
    package var shots: Int?
    package var elementType = ElementType.float32
    package var device = Device.cpu

    package init(model: String, tasks: [BenchmarkTask], folder: String) {
        (self.model, self.tasks, self.folder) = (model, tasks, folder)
    }

    /// A model with what it reads.
    private struct Subject {
        let folder: String
        let model: CausalLanguageModel
        let tokenizer: Tokenizer
    }

    /// - Parameters:
    ///   - journal: knows what was answered before, and is told what is answered now.
    ///   - progress: called with a task's name and its numbers of documents, done and in all.
    package func run(
        journal: TaskJournal = TaskJournal(),
        progress: (_ task: String, _ done: Int, _ total: Int) throws -> Void
    ) throws -> TaskReport {
        TorchRuntime.keepFreedMemory()
        // All files are read before anything is computed: a broken one is found at once.
        let questions = try tasks.map {
            try TaskQuestions($0, in: folder, limit: limit, shots: shots)
        }
        let subjects = try ([model] + (reference.map { [$0] } ?? [])).map(load)
        let reports = try questions.map { questions in
            let start = Date()
            let parts = try questions.parts.map { part in
                let before = questions.parts.prefix { $0.name != part.name }
                    .reduce(0) { $0 + $1.queries.count }
                return try answers(to: part, of: questions.task, subjects, journal) { done in
                    try progress(questions.task.rawValue, before + done, questions.count)
                }
            }
            return report(questions, parts, seconds: Date().timeIntervalSince(start))
        }
        return TaskReport(
            model: model, reference: reference, device: device.description,
            elementType: elementType.rawValue, threads: TorchRuntime.threads,
            peakMemoryBytes: try PeakMemory.bytes(on: device), tasks: reports)
    }

    private func load(_ folder: String) throws -> Subject {
        let configuration = try ModelConfiguration(folder: folder)
        let model = try CausalLanguageModel(
            Checkpoint(folder), configuration, as: elementType, on: device)
        return Subject(folder: folder, model: model, tokenizer: try Tokenizer(path: folder))
    }

    // MARK: Answers

    /// Documents that are answered before anything is recorded: so many that they fall into large batches.
    private static let documentsAtOnce = 512
    private static let responsesAtOnce = 8

    /// - Returns: one list of answers per subject.
    private func answers(
        to part: TaskQuestions.Part, of task: BenchmarkTask, _ subjects: [Subject],
        _ journal: TaskJournal, progress: (Int) throws -> Void
    ) throws -> [[TaskItem]] {
        var answers = subjects.map { _ in [TaskItem]() }
        let step = task == .gsm8k ? Self.responsesAtOnce : Self.documentsAtOnce
        for start in stride(from: 0, to: part.queries.count, by: step) {
            let documents = start..<min(start + step, part.queries.count)
            for (index, subject) in subjects.enumerated() {
                if let known = journal.items(subject.folder, part, documents) {
                    answers[index] += known
                    continue
                }
                let items = try answer(part, documents, of: task, subject) { done in
                    let share = (index * documents.count + done) / subjects.count
                    try progress(start + share)
                }
                try journal.record(items)
                answers[index] += items
            }
            try progress(documents.upperBound)
        }
        return answers
    }

    private func answer(
        _ part: TaskQuestions.Part, _ documents: Range<Int>, of task: BenchmarkTask,
        _ subject: Subject, progress: (Int) throws -> Void
    ) throws -> [TaskItem] {
        if task == .gsm8k { return try respond(part, documents, subject, progress: progress) }
        let encoder = try PromptEncoder(subject.tokenizer)
        let context = subject.model.configuration.maxPositions
        let pairs = try documents.map { document in
            try part.queries[document].pairs.map { pair in
                let tokens = try encoder.encode(pair)
                guard (1...context).contains(tokens.continuation.count) else {
                    throw TaskError.continuation(
                        task: part.name, document: document, tokens: tokens.continuation.count,
                        context: context)
                }
                return tokens
            }
        }
        let choices = pairs.first?.count ?? 1
        let likelihoods = try LikelihoodScorer(subject.model).score(pairs) {
            try progress(min($0 / choices, documents.count))
        }
        return zip(documents, likelihoods).map { document, likelihoods in
            TaskItem(
                model: subject.folder, task: part.name, document: document, likelihoods,
                to: part.queries[document],
                isNormalized: [.hellaswag, .arcChallenge].contains(task))
        }
    }

    private func respond(
        _ part: TaskQuestions.Part, _ documents: Range<Int>, _ subject: Subject,
        progress: (Int) throws -> Void
    ) throws -> [TaskItem] {
        let writer = try ResponseWriter(
            subject.model, subject.tokenizer, stops: GSM8KDocument.stops,
            tokens: GSM8KDocument.responseTokens)
        return try documents.map { document in
            guard case .generation(let prompt, let gold) = part.queries[document] else {
                preconditionFailure("a task's queries are of one kind")
            }
            let response = try writer.respond(to: prompt)
            try progress(document - documents.lowerBound + 1)
            return TaskItem(
                model: subject.folder, task: part.name, document: document,
                response: response, to: part.queries[document], gold: gold)
        }
    }

    // MARK: Report

    /// - Parameter answers: by part and subject.
    private func report(
        _ questions: TaskQuestions, _ answers: [[[TaskItem]]], seconds: Double
    ) -> TaskReport.Task {
        func score(_ name: String, _ chosen: (String) -> Bool) -> TaskScore? {
            let parts = zip(questions.parts, answers).filter { chosen($0.0.name) }.map(\.1)
            guard !parts.isEmpty else { return nil }
            return TaskScore(
                name, parts.map { $0[0] }, reference: reference == nil ? nil : parts.map { $0[1] })
        }
        var (groups, subjects): ([TaskScore], [TaskScore]) = ([], [])
        if questions.task == .mmlu {
            groups = MMLUGroup.allCases.compactMap { group in
                score("mmlu_" + group.rawValue) {
                    MMLUGroup(of: String($0.dropFirst("mmlu_".count))) == group
                }
            }
            subjects = questions.parts.compactMap { part in score(part.name) { $0 == part.name } }
        }
        guard let whole = score(questions.task.harnessName, { _ in true }) else {
            preconditionFailure("a task has documents")
        }
        return TaskReport.Task(
            score: whole, groups: groups, subjects: subjects, file: questions.file,
            shots: questions.shots, seconds: seconds)
    }
}
