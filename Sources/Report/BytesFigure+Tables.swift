import Artifacts
import TensorNetworks

extension BytesFigure {
    var tables: [DataTable] {
        [
            DataTable(
                title: "\(file): formats",
                header: ["format", "patches", "bytes", "dense bytes", "kept"],
                rows: kinds.map { kind in
                    let pieces = pieces.filter { $0.patch.format.kind == kind }
                    let (bytes, dense) = pieces.reduce((0, 0)) {
                        ($0.0 + $1.bytes, $0.1 + $1.denseBytes)
                    }
                    return [
                        kind.words, NumberText.grouped(pieces.count), NumberText.grouped(bytes),
                        NumberText.grouped(dense),
                        NumberText.percent(Double(bytes) / Double(dense)),
                    ]
                }, words: 1),
            DataTable(
                title: "\(file): every patch",
                header: ["matrix", "rows", "columns", "format", "bytes", "dense bytes"],
                rows: pieces.map { piece in
                    [
                        piece.matrix, Self.words(piece.patch.region.rows),
                        Self.words(piece.patch.region.columns), piece.patch.format.words,
                        NumberText.grouped(piece.bytes), NumberText.grouped(piece.denseBytes),
                    ]
                }, words: 4),
        ]
    }

    private static func words(_ range: Range<Int>) -> String {
        "\(range.lowerBound)–\(range.upperBound - 1)"
    }
}

extension BytesFigure {
    /// All plans of a report.
    static func section(_ figures: [BytesFigure]) -> Section {
        Section(
            anchor: "bytes", title: "Where the bytes went",
            note:
                "Each bar is what a block's linear layers take under the plan, and the outline what they took before: the emptier an outline, the more was saved there.",
            figures: figures.flatMap(\.figures), tables: figures.flatMap(\.tables))
    }
}
