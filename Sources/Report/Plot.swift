/// The frame of a chart: two axes with ticks, grid lines and names.
struct Plot {
    let width: Double
    let height: Double
    let left: Double
    let right: Double
    let top = 24.0
    let bottom = 38.0

    /// - Parameter right: room at the right of the axes, for labels.
    init(width: Double, height: Double, left: Double = 50, right: Double = 12) {
        self.width = width
        self.height = height
        self.left = left
        self.right = right
    }

    var xRange: (Double, Double) { (left, width - right) }
    /// From below upwards.
    var yRange: (Double, Double) { (height - bottom, top) }

    /// Grid, ticks and names of the axes.
    func frame(
        x: Scale, y: Scale, xName: String, yName: String, xTicks: Int = 5, yTicks: Int = 5
    ) -> [Markup] {
        var shapes: [Markup] = []
        for tick in y.ticks(yTicks) {
            let place = y.position(tick.value)
            shapes.append(Drawing.line([(left, place), (width - right, place)], class: "grid"))
            shapes.append(Drawing.text(tick.label, left - 6, place + 4, .end, class: "tick"))
        }
        for tick in x.ticks(xTicks) {
            let place = x.position(tick.value)
            shapes.append(
                Drawing.line(
                    [(place, height - bottom), (place, height - bottom + 4)], class: "axis"))
            shapes.append(
                Drawing.text(tick.label, place, height - bottom + 17, .middle, class: "tick"))
        }
        shapes.append(
            Drawing.line(
                [(left, height - bottom), (width - right, height - bottom)], class: "axis"))
        shapes.append(
            Drawing.text(xName, (left + width - right) / 2, height - 5, .middle, class: "name"))
        // Above the axis and level: nobody likes to read sideways.
        shapes.append(Drawing.text(yName, 0, 11, class: "name"))
        return shapes
    }
}
