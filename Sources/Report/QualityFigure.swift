import Artifacts

/// Quality over bytes of every method that was compared on one model.
struct QualityFigure {
    /// A rise beyond it, in percent, is drawn at the upper edge: the model is ruined either way.
    static let most = 1e5

    let comparison: ModelComparison
    /// Of the section.
    let anchor: String

    var section: Section {
        Section(
            anchor: anchor, title: "Quality against bytes: \(comparison.model)",
            note:
                "Each line is one method at several budgets: further down is nearer to the dense model, further left is smaller. No model was fine-tuned after compression.",
            figures: [
                Figure.grid(ModelComparison.texts(comparison.entries).compactMap(panel))
            ], tables: [table])
    }

    private func panel(_ text: String) -> (caption: String, drawing: Drawing)? {
        let entries = comparison.entries.filter { $0.text(text) != nil }
        let methods = comparison.methods.filter { method in
            entries.contains { $0.method == method }
        }
        let plot = Plot(width: 440, height: 330, left: 46, right: LineEnd.room(for: methods))
        let rises = entries.compactMap { $0.text(text)?.rise }
        guard
            let y = Scale.logarithmic(
                rises.map { min($0, Self.most) }, decades: 6, to: plot.yRange)?
                .padded(0.04)
        else { return nil }
        let shares = entries.map(\.share)
        let x = Scale(
            .linear, (shares.min() ?? 0)...(shares.max() ?? 100), to: plot.xRange
        ).padded(0.06)
        var drawing = Drawing(
            width: plot.width, height: plot.height,
            label: "Perplexity rise on \(text) over bytes kept, one line per method")
        drawing.shapes = plot.frame(
            x: x, y: y, xName: "bytes kept, % of the checkpoint", yName: "perplexity rise, %")
        // Ours last, above the others.
        let ends = methods.enumerated().reversed().compactMap { index, method in
            curve(method, colour: index, entries, text, x: x, y: y, into: &drawing)
        }
        drawing.shapes += LineEnd.labels(ends, beside: plot)
        let dense = entries.compactMap { $0.text(text)?.densePerplexity }.first ?? 0
        return ("\(text), dense perplexity \(NumberText.short(dense))", drawing)
    }

    private func curve(
        _ method: String, colour: Int, _ entries: [ComparisonEntry], _ text: String, x: Scale,
        y: Scale, into drawing: inout Drawing
    ) -> LineEnd? {
        let points = entries.filter { $0.method == method }
            .sorted { ($0.bytesAfter, $0.keep) < ($1.bytesAfter, $1.keep) }
            .compactMap { entry in
                entry.text(text).map {
                    (entry, x.position(entry.share), y.position($0.rise), $0.rise)
                }
            }
        guard let last = points.last else { return nil }
        let isOurs = ModelComparison.isOurs(method)
        let name = isOurs ? "ours" : "m\(colour % 8)"
        drawing.shapes.append(Drawing.line(points.map { ($0.1, $0.2) }, class: "series \(name)"))
        for (entry, x, y, rise) in points {
            drawing.shapes.append(
                Drawing.circle(
                    x, y, radius: isOurs ? 4 : 3, class: "dot \(name)",
                    title:
                        "\(method) at \(NumberText.plain(entry.keep)): \(NumberText.rise(rise)), \(NumberText.bytes(entry.bytesAfter))"
                ))
        }
        return LineEnd(name: method, colour: name, isOurs: isOurs, x: last.1, y: last.2)
    }

    private var table: DataTable { Self.table("Every method and budget", comparison.entries) }

    static func table(_ title: String, _ entries: [ComparisonEntry]) -> DataTable {
        DataTable(
            title: title,
            header: [
                "method", "text", "keep", "bytes", "kept", "linear parameters", "dense perplexity",
                "perplexity", "rise", "KL, nats", "top-1", "predicted KL", "seconds",
            ],
            rows: entries.flatMap { entry in
                entry.texts.map { text in
                    [
                        entry.method, text.file, NumberText.plain(entry.keep),
                        NumberText.grouped(entry.bytesAfter),
                        NumberText.percent(entry.share / 100),
                        NumberText.grouped(entry.linearParametersAfter),
                        NumberText.short(text.densePerplexity), NumberText.short(text.perplexity),
                        NumberText.rise(text.rise), NumberText.short(text.klMean),
                        NumberText.percent(text.top1Agreement),
                        entry.predictedKL.map(NumberText.short) ?? "–",
                        NumberText.short(entry.compressSeconds),
                    ]
                }
            }, words: 2)
    }
}

extension ComparisonEntry {
    /// Bytes that remain, in percent.
    var share: Double { Double(bytesAfter) / Double(bytesBefore) * 100 }
}

extension String {
    /// With an ellipsis where it is longer.
    func shortened(to limit: Int) -> String { count > limit ? prefix(limit - 1) + "…" : self }
}
