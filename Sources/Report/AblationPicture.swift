import Artifacts

/// What each part of the method is worth: the rise of perplexity on each text, and the speed, row by row. One SVG that stands
/// for itself.
package struct AblationPicture {
    private let entries: [AblationEntry]
    private static let captionHeight = 30.0
    private static let margin = 10.0

    /// - Parameter entries: the dense model's first, the whole method's last; all of the same texts.
    package init(_ entries: [AblationEntry]) { self.entries = entries }

    /// Panels two by two.
    package var svg: String {
        let panels = self.panels
        let width = (panels.map(\.drawing.width).max() ?? 0) + 4 * Self.margin
        let height =
            (panels.map(\.drawing.height).max() ?? 0) + Self.captionHeight + 2 * Self.margin
        var drawing = Drawing(
            width: Double(min(2, panels.count)) * width,
            height: Double((panels.count + 1) / 2) * height,
            label: "perplexity and speed, row by row")
        drawing.shapes =
            [
                .tag("style", [.style(PageStyle.sheet)]),
                Drawing.rect(0, 0, drawing.width, drawing.height, class: "ground"),
            ]
            + panels.enumerated().map { index, panel in
                let x = Double(index % 2) * width + Self.margin
                let y = Double(index / 2) * height + Self.margin
                return Self.group(
                    x, y,
                    [
                        Drawing.text(panel.caption, 0, 14, class: "strong"),
                        Self.group(0, Self.captionHeight, panel.drawing.shapes),
                    ])
            }
        return drawing.markup().rendered
    }

    private static func group(_ x: Double, _ y: Double, _ shapes: [Markup]) -> Markup {
        .tag(
            "g",
            [
                "transform":
                    "translate(\(NumberText.coordinate(x)) \(NumberText.coordinate(y)))"
            ], shapes)
    }

    private var panels: [(caption: String, drawing: Drawing)] {
        guard let dense = entries.first else { return [] }
        let texts = dense.texts.enumerated().map { index, text in
            (
                "\(text.file): rise of perplexity over \(NumberText.short(text.perplexity))",
                chart("perplexity on \(text.file)") { entry in
                    let found = entry.texts[index].perplexity
                    let rise = 100 * (found / text.perplexity - 1)
                    return (
                        min(rise, QualityFigure.most),
                        "\(NumberText.short(found)) (\(NumberText.rise(rise)))"
                    )
                }
            )
        }
        let speed = chart("tokens per second") { entry in
            let ratio = entry.speed.tokensPerSecond / dense.speed.tokensPerSecond
            return (
                entry.speed.tokensPerSecond,
                "\(NumberText.short(entry.speed.tokensPerSecond)) (\(NumberText.short(ratio))×)"
            )
        }
        let batch = dense.speed.batch
        return texts + [
            ("tokens a second" + (batch == 1 ? "" : ", \(batch) sequences side by side"), speed)
        ]
    }

    private func chart(
        _ label: String, _ value: (AblationEntry) -> (Double, String)
    ) -> Drawing {
        // What is below the dense model's rows and the first compression adds to it.
        let begun = entries.prefix { $0.row.hasPrefix("dense") }.count + 1
        return BarChart(
            entries.enumerated().map { index, entry in
                let (value, words) = value(entry)
                return BarChart.Bar(
                    name: index < begun ? entry.row : "+ \(entry.row)", value: value, words: words,
                    isOurs: index == entries.count - 1)
            }
        ).drawing(label: label)
    }
}
