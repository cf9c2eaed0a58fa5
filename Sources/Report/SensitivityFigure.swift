import Artifacts
import Foundation

/// Which matrices the model depends on: blocks × modules.
struct SensitivityFigure {
    /// Share of a matrix's parameters at which its cost is shown.
    static let keep = 0.5

    let map: SensitivityMap

    var section: Section {
        Section(
            anchor: "sensitivity", title: "Sensitivity map",
            note:
                "Each cell is one matrix: the more it stands out, the more the model loses when it is compressed. The score orders all matrices from 0 to 1; the other map shows how large the differences are.",
            figures: [Figure.blocks([scores] + (costs.map { [$0] } ?? []), count: blocks)],
            tables: [table])
    }

    private var blocks: Int { Set(map.matrices.map { MatrixPlace($0.name).block }).count }

    private var scores: Markup {
        HeatMap(
            caption: "Score",
            grid: ModelGrid(
                map.matrices.map { matrix in
                    (
                        matrix.name,
                        HeatMap.Cell(
                            share: matrix.score,
                            title: "\(matrix.name): score \(NumberText.short(matrix.score))")
                    )
                }), least: "0", most: "1"
        ).figure
    }

    /// What halving each matrix is predicted to cost, where the candidates say.
    private var costs: Markup? {
        let costs = map.matrices.map { $0.predictedKL(keep: Self.keep) }
        guard let scale = Scale.logarithmic(costs.compactMap { $0 }, decades: 6, to: (0, 1))
        else { return nil }
        let cells = zip(map.matrices, costs).compactMap { matrix, cost in
            cost.map { cost in
                (
                    name: matrix.name,
                    item: HeatMap.Cell(
                        share: scale.position(cost),
                        title: "\(matrix.name): \(NumberText.short(cost)) nats per token")
                )
            }
        }
        return HeatMap(
            caption: "Predicted rise of KL at half the parameters",
            grid: ModelGrid(cells), least: NumberText.short(scale.domain.lowerBound),
            most: "\(NumberText.short(scale.domain.upperBound)) nats per token, logarithmic"
        ).figure
    }

    private var table: DataTable {
        DataTable(
            title: "Sensitivity of every matrix",
            header: [
                "matrix", "rows", "columns", "score", "entropy, nats", "predicted KL at half",
                "candidates",
            ],
            rows: map.matrices.map { matrix in
                [
                    matrix.name, NumberText.grouped(matrix.rows),
                    NumberText.grouped(matrix.columns),
                    NumberText.short(matrix.score), NumberText.short(matrix.entropy),
                    matrix.predictedKL(keep: Self.keep).map(NumberText.short) ?? "–",
                    "\(matrix.candidates.count)",
                ]
            }, words: 1)
    }
}

extension MatrixSensitivity {
    /// Of the largest candidate that takes at most this share of the parameters.
    func predictedKL(keep: Double) -> Double? {
        let budget = Int(keep * Double(rows * columns))
        return candidates.filter { $0.parameters <= budget }
            .max { $0.parameters < $1.parameters }?.predictedKL
    }
}
