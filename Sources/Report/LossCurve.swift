import Artifacts

/// A loss of a training's steps, over the tokens that were learnt from.
struct LossCurve {
    private let points: [(tokens: Double, value: Double)]

    /// Points of a line at most: more would only make the page longer.
    private static let mostPoints = 400

    /// Means over runs of steps where there are more than a line needs.
    /// - Parameter value: `nil` of a step that has none.
    init(_ curve: [HealReport.Point], _ value: (HealReport.Point) -> Double?) {
        let known = curve.compactMap { point in
            value(point).map { (tokens: Double(point.tokens), value: $0) }
        }
        let run = (known.count + Self.mostPoints - 1) / Self.mostPoints
        guard run > 1 else {
            points = known
            return
        }
        points = stride(from: 0, to: known.count, by: run).map { start in
            let group = known[start..<min(start + run, known.count)]
            let count = Double(group.count)
            return (
                tokens: group.reduce(0) { $0 + $1.tokens } / count,
                value: group.reduce(0) { $0 + $1.value } / count
            )
        }
    }

    /// - Parameter name: of the loss, with its unit.
    /// - Returns: `nil` where no step has one.
    func drawing(_ name: String) -> Drawing? {
        let values = points.map(\.value)
        guard let last = points.last, let most = values.max(), let least = values.min() else {
            return nil
        }
        let plot = Plot(width: 440, height: 300, left: 56, right: 16)
        let x = Scale(.linear, 0...max(last.tokens, 1), to: plot.xRange)
        let y = Scale(.linear, least...most, to: plot.yRange).padded(0.05)
        var drawing = Drawing(
            width: plot.width, height: plot.height, label: "\(name) over tokens trained on")
        drawing.shapes = plot.frame(x: x, y: y, xName: "tokens", yName: name)
        drawing.shapes.append(
            Drawing.line(
                points.map { (x.position($0.tokens), y.position($0.value)) }, class: "series ours"))
        drawing.shapes.append(
            Drawing.circle(
                x.position(last.tokens), y.position(last.value), radius: 4, class: "dot ours",
                title:
                    "\(NumberText.short(last.value)) after \(NumberText.grouped(Int(last.tokens))) tokens"
            ))
        return drawing
    }
}
