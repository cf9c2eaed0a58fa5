import Artifacts

/// What each part of the method is worth: the same compression without it.
struct AblationFigure {
    let comparison: ModelComparison
    /// Of the section.
    let anchor: String

    var section: Section {
        let texts = ModelComparison.texts(comparison.ablations)
        let keeps = Set(comparison.ablations.map(\.keep)).sorted(by: >)
        let panels = keeps.flatMap { keep in texts.compactMap { panel(keep: keep, text: $0) } }
        return Section(
            anchor: anchor, title: "Ablations: \(comparison.model)",
            note:
                "Each bar is the method without the named part: how much longer it is than the method's own, on top, is what that part is worth.",
            figures: [Figure.grid(panels)],
            tables: [QualityFigure.table("Every ablation", comparison.ablations)])
    }

    private struct Bar {
        let name: String
        let text: ComparisonEntry.Text
        let isOurs: Bool
    }

    private func panel(keep: Double, text: String) -> (caption: String, drawing: Drawing)? {
        let baseline = comparison.entries.filter { $0.keep == keep && $0.method == "minima" }
        let bars =
            baseline.compactMap { entry in
                entry.text(text).map { Bar(name: entry.method, text: $0, isOurs: true) }
            }
            + comparison.ablations.filter { $0.keep == keep }.compactMap { entry in
                entry.text(text).map {
                    Bar(
                        name: String(entry.method.dropFirst(ComparisonEntry.ablation.count)),
                        text: $0, isOurs: false)
                }
            }.sorted { ($0.text.rise, $0.name) < ($1.text.rise, $1.name) }
        guard bars.contains(where: { !$0.isOurs }) else { return nil }
        return (
            "\(text) at \(NumberText.plain(keep)): rise of perplexity", drawing(bars, text: text)
        )
    }

    private func drawing(_ bars: [Bar], text: String) -> Drawing {
        let (width, row) = (420.0, 38.0)
        let rises = bars.map { min($0.text.rise, QualityFigure.most) }
        let x = Scale(
            .linear, min(0, rises.min() ?? 0)...max(0, rises.max() ?? 0), to: (0, width - 76))
        let zero = x.position(0)
        let reference = bars.firstIndex(where: \.isOurs).map { x.position(rises[$0]) }
        var drawing = Drawing(
            width: width, height: Double(bars.count) * row + 4,
            label: "Perplexity rise on \(text) without each part of the method")
        for (index, bar) in bars.enumerated() {
            let y = Double(index) * row
            let end = x.position(rises[index])
            let words = NumberText.rise(bar.text.rise)
            drawing.shapes.append(
                Drawing.text(
                    bar.name.shortened(to: 56), zero, y + 13,
                    class: bar.isOurs ? "label strong" : "label"))
            drawing.shapes.append(
                Drawing.rect(
                    min(zero, end), y + 18, max(1, abs(end - zero)), 14,
                    class: bar.isOurs ? "bar ours" : "bar", title: "\(bar.name): \(words)"))
            // Beside the bars alone, so that no line crosses a word.
            drawing.shapes.append(Drawing.line([(zero, y + 16), (zero, y + 34)], class: "axis"))
            if let reference, !bar.isOurs {
                drawing.shapes.append(
                    Drawing.line([(reference, y + 17), (reference, y + 33)], class: "mark"))
            }
            drawing.shapes.append(
                Drawing.text(words, max(zero, end) + 6, y + 29, class: "value"))
        }
        return drawing
    }
}
