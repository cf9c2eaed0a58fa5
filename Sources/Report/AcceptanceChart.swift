/// How often guesses are right in a row: for each position the share of places at which it and all before it were.
struct AcceptanceChart {
    struct Line {
        let name: String
        /// From the first guess on, 0 to 1.
        let shares: [Double]
        let isOurs: Bool
    }

    private let lines: [Line]

    init(_ lines: [Line]) { self.lines = lines.filter { !$0.shares.isEmpty } }

    /// - Parameter label: what a reader who cannot see it is told.
    /// - Returns: `nil` where nothing was guessed.
    func drawing(label: String) -> Drawing? {
        guard let last = lines.map(\.shares.count).max() else { return nil }
        let plot = Plot(
            width: 440, height: 300, left: 46, right: LineEnd.room(for: lines.map(\.name)))
        let x = Scale(.linear, 1...Double(last), to: plot.xRange)
        let y = Scale(.linear, 0...100, to: plot.yRange)
        var drawing = Drawing(width: plot.width, height: plot.height, label: label)
        drawing.shapes = plot.frame(
            x: x, y: y, xName: "guess", yName: "right up to it, %", xTicks: max(1, last - 1))
        var ends: [LineEnd] = []
        // Ours last, above the others.
        for (index, line) in lines.enumerated().filter({ !$0.element.isOurs })
            + lines.enumerated().filter({ $0.element.isOurs })
        {
            let colour = line.isOurs ? "ours" : "m\((index + 1) % 8)"
            let points = line.shares.enumerated().map {
                (x: x.position(Double($0.offset + 1)), y: y.position(100 * $0.element))
            }
            drawing.shapes.append(Drawing.line(points, class: "series \(colour)"))
            for (position, (point, share)) in zip(points, line.shares).enumerated() {
                drawing.shapes.append(
                    Drawing.circle(
                        point.x, point.y, radius: line.isOurs ? 4 : 3, class: "dot \(colour)",
                        title: "\(line.name), guess \(position + 1): \(NumberText.percent(share))"))
            }
            guard let end = points.last else { continue }
            ends.append(
                LineEnd(
                    name: line.name, colour: colour, isOurs: line.isOurs, x: end.x, y: end.y))
        }
        drawing.shapes += LineEnd.labels(ends, beside: plot)
        return drawing
    }
}
