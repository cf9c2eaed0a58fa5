/// How the times that clients saw are distributed: for each kind of time, the share of values up to it. One SVG that stands
/// for itself.
package struct LoadPicture {
    package struct Panel {
        let name: String
        /// Milliseconds.
        let values: [Double]
        /// What is good enough.
        let goal: Double?

        package init(name: String, values: [Double], goal: Double? = nil) {
            (self.name, self.values, self.goal) = (name, values, goal)
        }
    }

    private let panels: [Panel]
    private static let plot = Plot(width: 440, height: 280, left: 48, right: 20)
    private static let captionHeight = 30.0
    /// Points of a line at most: more would only make the file longer.
    private static let mostPoints = 500

    package init(panels: [Panel]) { self.panels = panels }

    /// Panels two by two. What has no value says so.
    package var svg: String {
        let (width, height) = (Self.plot.width + 20, Self.plot.height + Self.captionHeight + 20)
        var drawing = Drawing(
            width: 2 * width, height: Double((panels.count + 1) / 2) * height,
            label: "distributions of the times that clients saw")
        drawing.shapes =
            [
                .tag("style", [.style(PageStyle.sheet)]),
                Drawing.rect(0, 0, drawing.width, drawing.height, class: "ground"),
            ]
            + panels.enumerated().map { index, panel in
                let place = (Double(index % 2) * width + 10, Double(index / 2) * height + 10)
                return .tag(
                    "g",
                    [
                        "transform":
                            "translate(\(NumberText.coordinate(place.0)) \(NumberText.coordinate(place.1)))"
                    ], Self.shapes(of: panel))
            }
        return drawing.markup().rendered
    }

    private static func shapes(of panel: Panel) -> [Markup] {
        let caption = Drawing.text(panel.name, 0, 14, class: "strong")
        let sorted = panel.values.filter { $0.isFinite }.sorted()
        let shown = sorted + [panel.goal].compactMap { $0 }
        guard !sorted.isEmpty, let x = Scale.logarithmic(shown, to: plot.xRange)?.padded(0.03)
        else { return [caption, Drawing.text("no value", 0, captionHeight + 14, class: "name")] }
        let y = Scale(.linear, 0...1, to: plot.yRange)
        var shapes = plot.frame(
            x: x, y: y, xName: "milliseconds", yName: "share of \(NumberText.grouped(sorted.count))"
        )
        if let goal = panel.goal {
            let place = x.position(goal)
            shapes.append(
                Drawing.line([(place, y.position(0)), (place, y.position(1))], class: "diagonal"))
            shapes.append(
                Drawing.text("goal", place - 4, y.position(0) - 6, .end, class: "tick"))
        }
        shapes.append(
            Drawing.line(
                points(sorted).map { (x.position($0.value), y.position($0.share)) },
                class: "series ours"))
        for share in [50, 90, 99] {
            // Nearest rank, as in the table.
            let value = sorted[(share * sorted.count + 99) / 100 - 1]
            let place = (x.position(value), y.position(Double(share) / 100))
            shapes.append(
                Drawing.circle(
                    place.0, place.1, radius: 4, class: "dot ours",
                    title: "\(share)%: \(NumberText.short(value)) ms"))
            shapes.append(
                Drawing.text(
                    "\(share)%: \(NumberText.short(value))", place.0 - 8, place.1 + 4, .end,
                    class: "tick"))
        }
        return [
            caption,
            .tag(
                "g", ["transform": "translate(0 \(NumberText.coordinate(captionHeight)))"], shapes),
        ]
    }

    /// A staircase thinned out: the value at which each share is reached.
    private static func points(_ sorted: [Double]) -> [(value: Double, share: Double)] {
        let count = min(sorted.count, mostPoints)
        let steps = (1...count).map { step -> (value: Double, share: Double) in
            let rank = step * sorted.count / count
            return (sorted[rank - 1], Double(rank) / Double(sorted.count))
        }
        return [(sorted[0], 0)] + steps
    }
}
