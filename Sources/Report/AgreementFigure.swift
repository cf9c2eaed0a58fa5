import Artifacts

/// Whether the predictions hold: candidates whose KL was measured too.
struct AgreementFigure {
    private struct Point {
        let matrix: String
        let words: String
        let predicted: Double
        let measured: Double
    }

    private let points: [Point]

    /// - Returns: `nil` where nothing was measured.
    init?(_ map: SensitivityMap) {
        points = map.matrices.flatMap { matrix in
            matrix.candidates.compactMap { candidate in
                candidate.measuredKL.map { measured in
                    Point(
                        matrix: matrix.name, words: candidate.format.words,
                        predicted: candidate.predictedKL, measured: measured)
                }
            }
        }
        if points.isEmpty { return nil }
    }

    var count: Int { points.count }
    /// Rank correlation of prediction and measurement.
    var spearman: Double? { Statistics.spearman(points.map { ($0.predicted, $0.measured) }) }
    /// Of measured ÷ predicted, where both are above 0.
    var medianRatio: Double? {
        Statistics.median(
            points.filter { $0.predicted > 0 && $0.measured > 0 }.map { $0.measured / $0.predicted }
        )
    }

    var section: Section {
        var numbers = "\(NumberText.grouped(points.count)) measured candidates"
        if let spearman { numbers += " · Spearman \(NumberText.short(spearman))" }
        if let medianRatio {
            numbers += " · median measured ÷ predicted \(NumberText.short(medianRatio))"
        }
        return Section(
            anchor: "agreement", title: "Predicted against measured",
            note:
                "Each point is one candidate of one matrix: on the line, compressing it cost what was predicted; above it, more. A plan needs the order more than the level.",
            figures: [.tag("p", ["class": "numbers"], numbers)]
                + (drawing.map { [Figure.grid([$0])] } ?? []),
            tables: [table])
    }

    private var drawing: (caption: String, drawing: Drawing)? {
        let plot = Plot(width: 420, height: 380, left: 56, right: 14)
        let values = points.flatMap { [$0.predicted, $0.measured] }
        guard let scale = Scale.logarithmic(values, decades: 10, to: plot.xRange)?.padded(0.03)
        else { return nil }
        let x = Scale(.logarithmic, scale.domain, to: plot.xRange)
        let y = Scale(.logarithmic, scale.domain, to: plot.yRange)
        var drawing = Drawing(
            width: plot.width, height: plot.height,
            label: "Measured over predicted rise of KL, both logarithmic")
        drawing.shapes = plot.frame(
            x: x, y: y, xName: "predicted, nats per token", yName: "measured, nats per token")
        drawing.shapes.append(
            Drawing.line(
                [(plot.xRange.0, plot.yRange.0), (plot.xRange.1, plot.yRange.1)], class: "diagonal")
        )
        for point in points {
            let isAttention = MatrixPlace.isAttention(point.matrix)
            drawing.shapes.append(
                Drawing.circle(
                    x.position(point.predicted), y.position(point.measured), radius: 3,
                    class: "point \(isAttention ? "attention" : "feed-forward")",
                    title:
                        "\(point.matrix), \(point.words): predicted \(NumberText.short(point.predicted)), measured \(NumberText.short(point.measured))"
                ))
        }
        return ("Rise of KL: attention in blue, feed-forward in orange", drawing)
    }

    private var table: DataTable {
        DataTable(
            title: "Measured candidates",
            header: ["matrix", "format", "predicted KL", "measured KL", "measured ÷ predicted"],
            rows: points.map { point in
                [
                    point.matrix, point.words, NumberText.short(point.predicted),
                    NumberText.short(point.measured),
                    point.predicted > 0 ? NumberText.short(point.measured / point.predicted) : "–",
                ]
            }, words: 2)
    }
}
