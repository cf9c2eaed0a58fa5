import Artifacts

/// What the models of a run are worth beside the dense one: perplexities and tasks.
struct EvaluationFigure {
    let evaluation: RunEvaluation
    /// Says how large the dense model is.
    let compression: CompressionReport?

    var section: Section {
        Section(
            anchor: "evaluation", title: "Measured: dense, compressed, healed",
            note: note,
            figures: [rows.table, Figure.grid(texts + tasks)], tables: [numbers])
    }

    private var note: String {
        let reports = evaluation.models.compactMap(\.perplexity)
        guard let first = reports.first else {
            return "Shares of right answers, as lm-evaluation-harness scores them."
        }
        return
            "Windows of \(NumberText.grouped(first.window)) tokens, a step of \(NumberText.grouped(first.stride)), in \(first.elementType). KL and top-1 agreement compare every position's predictions with the dense model's."
    }

    // MARK: Texts

    private var files: [String] {
        evaluation.models.compactMap(\.perplexity).first?.texts.map(\.file) ?? []
    }

    private func text(_ model: RunEvaluation.Model, _ file: String) -> EvaluationReport.Text? {
        model.perplexity?.texts.first { $0.file == file }
    }

    private func densePerplexity(_ file: String) -> Double? {
        evaluation.models.lazy.compactMap { text($0, file)?.referencePerplexity }.first
    }

    private var rows: DataTable {
        let dense =
            ["dense", compression.map { NumberText.bytes($0.bytesBefore) } ?? "–"]
            + files.flatMap { [densePerplexity($0).map(NumberText.short) ?? "–", ""] } + ["", ""]
        return DataTable(
            title: "Models",
            header: ["model", "bytes"] + files.flatMap { [name($0), "rise"] } + ["KL", "top-1"],
            rows: [dense] + evaluation.models.map(row), words: 1)
    }

    private func row(_ model: RunEvaluation.Model) -> [String] {
        let report = model.perplexity
        return [model.name, report.map { NumberText.bytes($0.bytes) } ?? "–"]
            + files.flatMap { file -> [String] in
                guard let text = text(model, file) else { return ["–", "–"] }
                return [
                    NumberText.short(text.perplexity),
                    text.referencePerplexity.map {
                        NumberText.rise(100 * (text.perplexity / $0 - 1))
                    } ?? "–",
                ]
            } + [
                report?.klMean.map(NumberText.short) ?? "–",
                report?.top1Agreement.map(NumberText.percent) ?? "–",
            ]
    }

    private var texts: [(caption: String, drawing: Drawing)] {
        files.compactMap { file in
            let dense = densePerplexity(file).map {
                BarChart.Bar(name: "dense", value: $0, words: NumberText.short($0), isOurs: false)
            }
            let models = evaluation.models.compactMap { model in
                text(model, file).map { text in
                    BarChart.Bar(
                        name: model.name,
                        value: min(text.perplexity, 100 * (text.referencePerplexity ?? .infinity)),
                        words: NumberText.short(text.perplexity), isOurs: isBest(model))
                }
            }.filter(\.value.isFinite)
            guard !models.isEmpty else { return nil }
            return (
                "\(name(file)): perplexity",
                BarChart((dense.map { [$0] } ?? []) + models).drawing(
                    label: "Perplexity on \(name(file))")
            )
        }
    }

    // MARK: Tasks

    /// The last model of a run is what it was made for.
    private func isBest(_ model: RunEvaluation.Model) -> Bool {
        model.name == evaluation.models.last?.name
    }

    private var tasks: [(caption: String, drawing: Drawing)] {
        let first = evaluation.models.lazy.compactMap(\.tasks).first
        return (first?.tasks ?? []).compactMap { task in
            guard let metric = Self.metric(of: task.score) else { return nil }
            func bar(_ name: String, _ value: Double?, isOurs: Bool) -> BarChart.Bar? {
                value.map {
                    BarChart.Bar(
                        name: name, value: $0, words: NumberText.percent($0), isOurs: isOurs)
                }
            }
            let models = evaluation.models.compactMap { model in
                bar(
                    model.name, score(model, task.score.task)?.metrics[metric],
                    isOurs: isBest(model))
            }
            let dense = bar("dense", task.score.referenceMetrics?[metric], isOurs: false)
            return (
                "\(task.score.task): \(Self.words(metric)) of \(NumberText.grouped(task.score.items))",
                BarChart((dense.map { [$0] } ?? []) + models).drawing(
                    label: "\(task.score.task), \(Self.words(metric))")
            )
        }
    }

    private func score(_ model: RunEvaluation.Model, _ task: String) -> TaskScore? {
        model.tasks?.tasks.first { $0.score.task == task }?.score
    }

    /// Normalised accuracy where the task has it, as the harness' tables quote it.
    private static func metric(of score: TaskScore) -> String? {
        ["acc_norm", "exact_match", "acc"].lazy.compactMap { wanted in
            score.metrics.keys.sorted().first {
                $0.split(separator: ",").first == Substring(wanted)
            }
        }.first
    }

    private static func words(_ metric: String) -> String {
        metric.replacing(",none", with: "").replacing(",", with: " ")
    }

    // MARK: Numbers

    private var numbers: DataTable {
        DataTable(
            title: "Every number",
            header: [
                "text or task", "metric", "model", "tokens or documents", "value", "±", "dense",
                "same decisions",
            ],
            rows: evaluation.models.flatMap { texts(of: $0) + scores(of: $0) }, words: 3)
    }

    private func texts(of model: RunEvaluation.Model) -> [[String]] {
        (model.perplexity?.texts ?? []).map { text in
            [
                name(text.file), "perplexity", model.name, NumberText.grouped(text.tokens),
                NumberText.short(text.perplexity), "–",
                text.referencePerplexity.map(NumberText.short) ?? "–",
                text.top1Agreement.map(NumberText.percent) ?? "–",
            ]
        }
    }

    private func scores(of model: RunEvaluation.Model) -> [[String]] {
        func cell(_ value: Double?) -> String { value.map(NumberText.short) ?? "–" }
        return (model.tasks?.tasks ?? []).flatMap { task in
            let score = task.score
            return score.metrics.keys.sorted().filter { !$0.contains("_stderr,") }.map { metric in
                let error = metric.replacing(",", with: "_stderr,")
                return [
                    score.task, Self.words(metric), model.name, NumberText.grouped(score.items),
                    cell(score.metrics[metric]), cell(score.metrics[error]),
                    cell(score.referenceMetrics?[metric]),
                    score.agreement?[metric].map(NumberText.percent) ?? "–",
                ]
            }
        }
    }

    private func name(_ file: String) -> String {
        file.split(separator: "/").last.map(String.init) ?? file
    }
}
