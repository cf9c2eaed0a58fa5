/// Where a line of a chart ends, with its name, which stands beside the axes.
struct LineEnd {
    let name: String
    /// The class of the line's colour.
    let colour: String
    let isOurs: Bool
    let x: Double
    let y: Double

    /// Names at the right of `plot`, none over another, each joined to the end of its line.
    static func labels(_ ends: [LineEnd], beside plot: Plot) -> [Markup] {
        let places = LabelLayout.places(
            ends.map(\.y), spacing: 15, within: plot.top...plot.yRange.0)
        let edge = plot.xRange.1
        return zip(ends, places).flatMap { end, place in
            [
                Drawing.line(
                    [(end.x + 5, end.y), (edge + 6, place), (edge + 14, place)],
                    class: "leader \(end.colour)"),
                Drawing.text(
                    end.name.shortened(to: 20), edge + 18, place + 4,
                    class: end.isOurs ? "label strong" : "label"),
            ]
        }
    }

    /// What the names need at the right of the axes.
    static func room(for names: [String]) -> Double {
        34 + min(156, names.map { Drawing.width(of: $0) }.max() ?? 0)
    }
}
