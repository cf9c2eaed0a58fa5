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

    private func panel(keep: Double, text: String) -> (caption: String, drawing: Drawing)? {
        let baseline = comparison.entries.filter { $0.keep == keep && $0.method == "minima" }
        func bar(_ name: String, _ text: ComparisonEntry.Text, isOurs: Bool) -> BarChart.Bar {
            .init(
                name: name, value: min(text.rise, QualityFigure.most),
                words: NumberText.rise(text.rise), isOurs: isOurs)
        }
        let bars =
            baseline.compactMap { entry in
                entry.text(text).map { bar(entry.method, $0, isOurs: true) }
            }
            + comparison.ablations.filter { $0.keep == keep }.compactMap { entry in
                entry.text(text).map {
                    bar(
                        String(entry.method.dropFirst(ComparisonEntry.ablation.count)), $0,
                        isOurs: false)
                }
            }.sorted { ($0.value, $0.name) < ($1.value, $1.name) }
        guard bars.contains(where: { !$0.isOurs }) else { return nil }
        return (
            "\(text) at \(NumberText.plain(keep)): rise of perplexity",
            BarChart(bars).drawing(
                label: "Perplexity rise on \(text) without each part of the method")
        )
    }
}
