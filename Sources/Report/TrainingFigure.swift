import Artifacts

/// How the loss of a training fell.
struct TrainingFigure {
    let report: HealReport
    /// Of the section.
    let anchor: String

    var section: Section {
        Section(
            anchor: anchor, title: "Training: \(report.output)",
            note:
                "Loss of each step's own batch, before the step: the text is new each time, so that the curve is no memory of it, and as uneven as the text. \(summary)",
            figures: [Figure.grid(panels)], tables: tables)
    }

    private var summary: String {
        var words =
            "\(NumberText.grouped(report.tokens)) tokens in \(NumberText.grouped(report.steps)) steps, \(NumberText.short(report.seconds)) s on \(report.device), \(NumberText.grouped(Int(report.tokensPerSecond))) tokens/s"
        if let share = report.modelFlopsUtilisation {
            words += " (\(NumberText.percent(share)) of the device's peak)"
        }
        if let overlap = report.overlap {
            words +=
                "; \(NumberText.percent(overlap.evaluationShare)) of the held-out text stands in the training text"
        }
        return words + "."
    }

    private var panels: [(caption: String, drawing: Drawing)] {
        let all: [(String, (HealReport.Point) -> Double?)] = [
            ("KL from the teacher, nats per token", \.divergence),
            ("next token, nats per token", \.nextToken),
            ("distance of hidden states", \.hidden), ("answers, nats per token", \.task),
        ]
        return all.compactMap { name, value in
            LossCurve(report.curve, value).drawing(name).map { (name, $0) }
        }
    }

    private var tables: [DataTable] {
        func short(_ value: Double?) -> String { value.map(NumberText.short) ?? "–" }
        let held = DataTable(
            title: "Held-out text, before and after",
            header: ["text", "tokens", "loss before", "loss after", "KL before", "KL after"],
            rows: report.evaluations.map { text in
                [
                    text.file, NumberText.grouped(text.tokens), short(text.lossBefore),
                    short(text.lossAfter), short(text.divergenceBefore),
                    short(text.divergenceAfter),
                ]
            }, words: 1)
        return (report.evaluations.isEmpty ? [] : [held]) + [.settings(report.settings)]
    }
}

extension DataTable {
    /// What a training was asked.
    static func settings(_ settings: [String: JSONValue]) -> DataTable {
        DataTable(
            title: "Settings", header: ["setting", "value"],
            rows: settings.sorted { $0.key < $1.key }.map { [$0.key, words($0.value)] }, words: 2)
    }

    private static func words(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): text
        case .integer(let number): NumberText.grouped(number)
        case .number(let number): NumberText.short(number)
        case .bool(let bool): bool ? "yes" : "no"
        default: "–"
        }
    }
}
