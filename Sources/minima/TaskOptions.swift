import ArgumentParser
import Artifacts
import Evaluate
import Foundation

/// Benchmark tasks of `minima evaluate`.
struct TaskOptions: ParsableArguments {
    @Option(
        help: "Benchmark tasks, separated by commas: \(BenchmarkTask.names).",
        transform: BenchmarkTask.list)
    var tasks: [BenchmarkTask] = []

    @Option(help: "Folder of the tasks' documents.", completion: .directory)
    var taskData: String?

    @Option(help: "Documents of each task (of each subject of mmlu) at most. Default: all.")
    var limit: Int?

    @Option(help: "Few-shot examples. Default: 5 for mmlu and gsm8k, 0 for the others.")
    var shots: Int?

    @Option(
        help: "File for each document's result, JSON lines; a run that is killed goes on from it.",
        completion: .file())
    var items: String?

    @Flag(help: "Replace --items.")
    var overwrite = false

    func validate() throws {
        guard !tasks.isEmpty else {
            if taskData != nil || limit != nil || shots != nil || items != nil {
                throw ValidationError(
                    "--task-data, --limit, --shots and --items need --tasks")
            }
            return
        }
        if taskData == nil { throw ValidationError("--tasks needs --task-data") }
        if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more") }
        if let shots, shots < 0 { throw ValidationError("--shots must be 0 or more") }
    }

    /// Runs `stage` and writes the items.
    func run(_ stage: TaskStage, isQuiet: Bool) throws -> TaskReport {
        if let items, !overwrite, FileManager.default.fileExists(atPath: items) {
            throw ItemsExist(file: items)
        }
        let journal =
            try items.map {
                try TaskJournal($0, TaskJournal.Settings(stage), startsOver: overwrite)
            } ?? TaskJournal()
        var lines: [String: ProgressLine] = [:]
        let report = try stage.run(journal: journal) { task, done, total in
            let line =
                lines[task]
                ?? ProgressLine(task, unit: "documents", total: total, isQuiet: isQuiet)
            lines[task] = line
            try line.update(done)
        }
        lines.values.forEach { $0.finish() }
        try journal.finish()
        return report
    }
}

private struct ItemsExist: Error, CustomStringConvertible {
    let file: String

    var description: String { "\(file) exists; choose another file or pass --overwrite" }
}

extension BenchmarkTask {
    fileprivate static let names = allCases.map(\.rawValue).joined(separator: ", ")

    /// Reads names separated by commas; those of the reference harness do too.
    fileprivate static func list(_ argument: String) throws -> [BenchmarkTask] {
        var tasks: [BenchmarkTask] = []
        for name in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard
                let task = allCases.first(where: {
                    $0.rawValue == name || $0.harnessName == name
                })
            else { throw ValidationError("unknown task '\(name)': there are \(names)") }
            if tasks.contains(task) { throw ValidationError("task '\(name)' is named twice") }
            tasks.append(task)
        }
        return tasks
    }
}

extension TaskReport {
    /// The report as a person reads it; subjects are left to --json.
    var table: String {
        var rows = [["task", "metric", "items", "shots", "value", "±"]]
        if reference != nil { rows[0] += ["reference", "±", "agreement"] }
        for task in tasks {
            for score in [task.score] + task.groups {
                for metric in score.metrics.keys.sorted() where !metric.contains("_stderr,") {
                    rows.append(row(score, metric, shots: task.shots))
                }
            }
        }
        return rows.columns(texts: 2)
    }

    private func row(_ score: TaskScore, _ metric: String, shots: Int) -> [String] {
        let error = metric.replacingOccurrences(of: ",", with: "_stderr,")
        func cell(_ value: Double?) -> String {
            value.map { String(format: $0 < 10 ? "%.4f" : "%.2f", $0) } ?? ""
        }
        let name = metric.replacingOccurrences(of: ",none", with: "")
            .replacingOccurrences(of: ",", with: " ")
        var cells = [score.task, name, score.items.grouped, "\(shots)"]
        cells += [cell(score.metrics[metric]), cell(score.metrics[error])]
        if let reference = score.referenceMetrics {
            cells += [cell(reference[metric]), cell(reference[error])]
            cells.append(
                score.agreement?[metric].map { String(format: "%.1f%%", 100 * $0) } ?? "")
        }
        return cells
    }
}
