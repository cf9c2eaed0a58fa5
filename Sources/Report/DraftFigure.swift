import Artifacts

/// What one draft learnt: how far its guesses are right along held-out text, before and after, and how its loss fell.
struct DraftFigure {
    let report: DraftReport
    /// The dense checkpoint of the page.
    let source: Fingerprint?

    /// Of its folder.
    var name: String {
        report.output.split(separator: "/").last.map(String.init) ?? report.output
    }

    /// Tokens that a step would bring in greedy decoding along held-out text, by the length of the chain of guesses.
    var acceptance: [(chain: Int, before: Double?, after: Double)] {
        guard let after = report.after else { return [] }
        return after.chains.map { chain in
            (chain, report.before?.acceptanceLength(chain), after.acceptanceLength(chain))
        }
    }

    var figures: [Markup] {
        [.tag("h3", "\(name): \(parameters)"), .tag("dl", ["class": "facts"], facts)]
            + (panels.isEmpty ? [] : [Figure.grid(panels)])
            + (passes.map { [$0.markup] } ?? []) + [DataTable.settings(report.settings).markup]
    }

    private var parameters: String { "\(NumberText.grouped(report.parameters)) parameters" }

    // MARK: Facts

    private var facts: [Markup] {
        let all =
            [
                ("trained for", target),
                (
                    "can guess",
                    "\(NumberText.grouped(report.vocabularySize)) tokens, \(NumberText.percent(report.coverage)) of the text"
                ),
                (
                    "learnt from",
                    "\(NumberText.grouped(report.tokens)) tokens in \(NumberText.short(report.seconds)) s on \(report.device), \(NumberText.grouped(Int(report.tokensPerSecond))) tokens/s"
                ),
            ] + steps
        return all.map { .tag("div", [.tag("dt", $0.0), .tag("dd", $0.1)]) }
    }

    private var steps: [(String, String)] {
        guard let after = report.after else {
            return [("tokens a step", "not measured: it was trained without --evaluation")]
        }
        return acceptance.map { chain, before, after in
            (
                "chains of \(chain)",
                "\(NumberText.short(after)) tokens a step"
                    + (before.map { ", \(NumberText.short($0)) before the training" } ?? "")
            )
        } + [("measured at", "\(NumberText.grouped(after.positions)) places of held-out text")]
    }

    /// What is known of the model that it drafts for.
    private var target: String {
        let hex = report.target.hex
        if report.target == source { return "the dense model, \(hex)" }
        guard let dense = report.source else {
            return source == nil
                ? "checkpoint \(hex)" : "checkpoint \(hex), which nothing else on this page names"
        }
        if dense == report.target { return "a dense model, \(hex)" }
        return "a model compressed from \(dense == source ? "the dense one" : dense.hex), \(hex)"
    }

    // MARK: Figures

    private var panels: [(caption: String, drawing: Drawing)] {
        let acceptance = AcceptanceChart(
            [("before", report.before, false), ("after", report.after, true)].compactMap {
                name, measured, isOurs in
                measured.map {
                    AcceptanceChart.Line(name: name, shares: $0.agreement, isOurs: isOurs)
                }
            }
        ).drawing(label: "Guesses of \(name) that are right in a row, before and after training")
        let loss = LossCurve(report.curve, \.loss).drawing("loss of all passes")
        return (acceptance.map { [("Guesses right in a row, held-out text", $0)] } ?? [])
            + (loss.map { [("Loss of each step, all passes together", $0)] } ?? [])
    }

    private var passes: DataTable? {
        guard let after = report.after else { return nil }
        func cells(_ measured: DraftReport.Measurement?, _ pass: Int) -> [String] {
            guard let measured else { return ["–", "–", "–"] }
            return [
                NumberText.percent(measured.agreement[pass]),
                NumberText.percent(measured.overlap[pass]), NumberText.short(measured.loss[pass]),
            ]
        }
        return DataTable(
            title: "Every pass",
            header: [
                "guess", "right so far, before", "overlap of predictions, before", "loss, before",
                "right so far, after", "overlap of predictions, after", "loss, after",
            ],
            rows: after.agreement.indices.map { pass in
                ["\(pass + 1)"] + cells(report.before, pass) + cells(after, pass)
            }, words: 1)
    }
}
