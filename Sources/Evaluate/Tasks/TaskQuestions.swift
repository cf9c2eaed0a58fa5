/// Everything that a task asks, with its prompts made.
struct TaskQuestions {
    /// Documents that are counted together: the task, or one subject of it.
    struct Part {
        let name: String
        let queries: [TaskQuery]
    }

    let task: BenchmarkTask
    /// Where the documents come from.
    let file: String
    let shots: Int
    let parts: [Part]

    var count: Int { parts.reduce(0) { $0 + $1.queries.count } }

    /// - Parameters:
    ///   - folder: of all tasks' files.
    ///   - limit: documents of each part at most.
    ///   - shots: few-shot examples; `nil` for the usual number.
    init(_ task: BenchmarkTask, in folder: String, limit: Int?, shots: Int?) throws {
        switch task {
        case .lambada:
            self = try Self.single(task, LambadaDocument.self, folder, limit, shots)
        case .hellaswag:
            self = try Self.single(task, HellaSwagDocument.self, folder, limit, shots)
        case .winogrande:
            self = try Self.single(task, WinoGrandeDocument.self, folder, limit, shots)
        case .arcChallenge: self = try Self.single(task, ARCDocument.self, folder, limit, shots)
        case .gsm8k: self = try Self.single(task, GSM8KDocument.self, folder, limit, shots)
        case .mmlu: self = try Self.mmlu(folder, limit, shots)
        }
    }

    private init(_ task: BenchmarkTask, file: String, shots: Int, parts: [Part]) {
        (self.task, self.file, self.shots, self.parts) = (task, file, shots, parts)
    }

    /// A task of one part. Examples are drawn at random, anew for each document, as the harness draws them: by
    /// Python's generator, seeded with 1234.
    private static func single<Document: TaskDocument>(
        _ task: BenchmarkTask, _: Document.Type, _ folder: String, _ limit: Int?, _ shots: Int?
    ) throws -> TaskQuestions {
        let file = try TaskFile<Document>(task.files, in: folder)
        let shots = shots ?? task.standardShots
        var examples: FewShotExamples<Document>?
        if shots > 0 {
            examples = try FewShotExamples(
                try TaskFile<Document>(task.exampleFiles, in: folder), count: shots,
                leavesOutQuestion: [.hellaswag, .winogrande].contains(task))
        }
        let documents = file.documents.prefix(limit ?? .max)
        let queries = documents.map { $0.query(after: examples?.next(for: $0) ?? "") }
        return TaskQuestions(
            task, file: file.path, shots: shots,
            parts: [Part(name: task.harnessName, queries: queries)])
    }

    /// One part per subject; the examples are the first of the subject's development set.
    private static func mmlu(
        _ folder: String, _ limit: Int?, _ shots: Int?
    ) throws -> TaskQuestions {
        let file = try TaskFile<MMLUDocument>(BenchmarkTask.mmlu.files, in: folder)
        let shots = shots ?? BenchmarkTask.mmlu.standardShots
        let pool =
            shots > 0
            ? try TaskFile<MMLUDocument>(BenchmarkTask.mmlu.exampleFiles, in: folder) : nil
        var subjects: [String] = []
        for document in file.documents where !subjects.contains(document.subject) {
            subjects.append(document.subject)
        }
        let parts = try subjects.sorted().map { subject in
            let examples = (pool?.documents ?? []).filter { $0.subject == subject }
            guard examples.count >= shots else {
                throw TaskError.tooFewExamples(
                    file: "\(pool?.path ?? folder): \(subject)", wanted: shots,
                    available: examples.count)
            }
            let preamble =
                MMLUDocument.description(of: subject)
                + examples.prefix(shots).map(\.example).joined()
            let documents = file.documents.filter { $0.subject == subject }
            return Part(
                name: "mmlu_" + subject,
                queries: documents.prefix(limit ?? .max).map { $0.query(after: preamble) })
        }
        return TaskQuestions(.mmlu, file: file.path, shots: shots, parts: parts)
    }
}

/// Examples as the harness draws them for one question after the other.
private struct FewShotExamples<Document: TaskDocument> {
    private let pool: [Document]
    private let count: Int
    /// Where a task's configuration names no split for questions and none for examples, the harness draws one
    /// more and leaves out the question itself.
    private let leavesOutQuestion: Bool
    private var random = PythonRandom(seed: 1234)

    init(_ file: TaskFile<Document>, count: Int, leavesOutQuestion: Bool) throws {
        (pool, self.count) = (file.documents, count)
        self.leavesOutQuestion = leavesOutQuestion
        guard count + (leavesOutQuestion ? 1 : 0) <= pool.count else {
            throw TaskError.tooFewExamples(
                file: file.path, wanted: count, available: pool.count)
        }
    }

    mutating func next(for question: Document) -> String {
        guard leavesOutQuestion else { return text(random.sample(count, of: pool.count)) }
        let drawn = random.sample(count + 1, of: pool.count).filter { !(pool[$0] == question) }
        if drawn.count >= count { return text(drawn.prefix(count)) }
        // More than one copy of the question was drawn.
        let others = pool.indices.filter { !(pool[$0] == question) }
        return text(random.sample(min(count, others.count), of: others.count).map { others[$0] })
    }

    private func text(_ indices: some Sequence<Int>) -> String {
        indices.map { pool[$0].example }.joined()
    }
}
