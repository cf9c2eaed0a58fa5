import Artifacts

/// What each matrix lost when it was compressed.
struct FitFigure {
    let report: CompressionReport

    var section: Section {
        Section(
            anchor: "fits", title: "What the fits lost",
            note:
                "Each cell is the share of a matrix's output energy that its network does not reproduce, in the norm of the fit: the more it stands out, the more was lost. A plan spends its bytes so that a loss stands where it matters least, not so that all are equal.",
            figures: map.map { [.tag("div", ["class": "panels"], [$0])] } ?? [], tables: [table])
    }

    private var map: Markup? {
        guard
            let scale = Scale.logarithmic(
                report.matrices.map(\.relativeError), decades: 6, to: (0, 1))
        else { return nil }
        return HeatMap(
            caption: "Relative error of each matrix",
            grid: ModelGrid(
                report.matrices.map { matrix in
                    (
                        matrix.name,
                        HeatMap.Cell(
                            share: scale.position(matrix.relativeError),
                            title:
                                "\(matrix.name), \(matrix.formats.words): \(NumberText.short(matrix.relativeError))"
                        )
                    )
                }), least: NumberText.short(scale.domain.lowerBound),
            most: "\(NumberText.short(scale.domain.upperBound)), logarithmic"
        ).figure
    }

    private var table: DataTable {
        DataTable(
            title: "Fit of every matrix",
            header: ["matrix", "format", "rows", "columns", "parameters", "relative error"],
            rows: report.matrices.map { matrix in
                [
                    matrix.name, matrix.formats.words, NumberText.grouped(matrix.rows),
                    NumberText.grouped(matrix.columns), NumberText.grouped(matrix.parameters),
                    NumberText.short(matrix.relativeError),
                ]
            }, words: 2)
    }
}
