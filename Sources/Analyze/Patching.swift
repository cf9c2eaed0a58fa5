import Artifacts
import Models

/// How matrices are cut into patches, each with a format and a rank of its own.
package enum Patching: Hashable, Sendable, CustomStringConvertible {
    case whole
    /// Query, key and value by the rows of each head, output by the columns of each head.
    case heads
    /// Every matrix into `rows` × `columns` blocks, as equal as can be.
    case grid(rows: Int, columns: Int)

    /// As the command line has it: `whole`, `heads`, `2x3`.
    package init?(_ text: String) {
        switch text {
        case "whole": self = .whole
        case "heads": self = .heads
        default:
            let sides = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
            guard sides.count == 2, let rows = sides[0], let columns = sides[1],
                (1...64).contains(rows), (1...64).contains(columns)
            else { return nil }
            self = rows == 1 && columns == 1 ? .whole : .grid(rows: rows, columns: columns)
        }
    }

    package var description: String {
        switch self {
        case .whole: "whole"
        case .heads: "heads"
        case .grid(let rows, let columns): "\(rows)x\(columns)"
        }
    }

    /// The patches of a projection, by rows and then by columns; `nil` where it stays whole.
    package func regions(
        of projection: Projection, _ configuration: ModelConfiguration
    ) -> [MatrixRegion]? {
        let module = configuration.module(projection, ofLayer: 0)
        let (rows, columns) = (0..<module.rows, 0..<module.columns)
        switch self {
        case .whole:
            return nil
        case .heads:
            let size = configuration.headDim
            switch projection {
            case .query, .key, .value:
                return rows.cut(into: module.rows / size)
                    .map { MatrixRegion(rows: $0, columns: columns) }
            case .output:
                return columns.cut(into: module.columns / size)
                    .map { MatrixRegion(rows: rows, columns: $0) }
            case .gate, .up, .down:
                return nil
            }
        case .grid(let down, let across):
            return rows.cut(into: min(down, module.rows)).flatMap { rows in
                columns.cut(into: min(across, module.columns)).map {
                    MatrixRegion(rows: rows, columns: $0)
                }
            }
        }
    }
}

extension Range<Int> {
    /// `count` ranges that follow one another, as equal as can be.
    fileprivate func cut(into parts: Int) -> [Range<Int>] {
        (0..<parts).map { lowerBound + count * $0 / parts..<lowerBound + count * ($0 + 1) / parts }
    }
}
