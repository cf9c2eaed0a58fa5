import Artifacts

/// How the loss of a training fell.
struct TrainingFigure {
    let report: HealReport
    /// Of the section.
    let anchor: String

    /// Points of a line at most: more would only make the page longer.
    private static let mostPoints = 400

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
            panel(name, points(value)).map { (name, $0) }
        }
    }

    /// Means over runs of steps where there are more than a line needs.
    private func points(_ value: (HealReport.Point) -> Double?) -> [(Double, Double)] {
        let known = report.curve.compactMap { point in
            value(point).map { (Double(point.tokens), $0) }
        }
        let run = (known.count + Self.mostPoints - 1) / Self.mostPoints
        guard run > 1 else { return known }
        return stride(from: 0, to: known.count, by: run).map { start in
            let group = known[start..<min(start + run, known.count)]
            let count = Double(group.count)
            return (
                group.reduce(0) { $0 + $1.0 } / count, group.reduce(0) { $0 + $1.1 } / count
            )
        }
    }

    private func panel(_ name: String, _ points: [(Double, Double)]) -> Drawing? {
        let values = points.map(\.1)
        guard let last = points.last, let most = values.max(), let least = values.min() else {
            return nil
        }
        let plot = Plot(width: 440, height: 300, left: 56, right: 16)
        let x = Scale(.linear, 0...max(last.0, 1), to: plot.xRange)
        let y = Scale(.linear, least...most, to: plot.yRange).padded(0.05)
        var drawing = Drawing(
            width: plot.width, height: plot.height, label: "\(name) over tokens trained on")
        drawing.shapes = plot.frame(x: x, y: y, xName: "tokens", yName: name)
        drawing.shapes.append(
            Drawing.line(
                points.map { (x.position($0.0), y.position($0.1)) }, class: "series ours"))
        drawing.shapes.append(
            Drawing.circle(
                x.position(last.0), y.position(last.1), radius: 4, class: "dot ours",
                title: "\(NumberText.short(last.1)) after \(NumberText.grouped(Int(last.0))) tokens"
            ))
        return drawing
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
        let settings = DataTable(
            title: "Settings", header: ["setting", "value"],
            rows: report.settings.sorted { $0.key < $1.key }.map {
                [$0.key, Self.words($0.value)]
            },
            words: 2)
        return (report.evaluations.isEmpty ? [] : [held]) + [settings]
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
