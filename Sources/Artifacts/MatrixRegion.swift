import TensorNetworks
import Tensors

/// A rectangle of a matrix.
package struct MatrixRegion: Codable, Hashable, Sendable, CustomStringConvertible {
    /// Output features.
    package let rows: Range<Int>
    /// Input features.
    package let columns: Range<Int>

    package init(rows: Range<Int>, columns: Range<Int>) {
        self.rows = rows
        self.columns = columns
    }

    package var description: String {
        "[\(rows.lowerBound)..<\(rows.upperBound), \(columns.lowerBound)..<\(columns.upperBound)]"
    }

    func overlaps(_ other: MatrixRegion) -> Bool {
        rows.overlaps(other.rows) && columns.overlaps(other.columns)
    }
}

extension MatrixRegion {
    /// Most patches of one matrix; bounds the work of comparing each with each.
    package static let mostPatches = 1_024

    /// Requires that the regions cover a `[rows, columns]` matrix and that no two overlap.
    static func requireTiling(
        _ regions: [MatrixRegion], rows: Int, columns: Int, of matrix: String
    ) throws(ManifestError) {
        let sides = 1...Format.largestSide
        guard sides.contains(rows), sides.contains(columns) else {
            throw .size(rows: rows, columns: columns, matrix: matrix)
        }
        guard (1...mostPatches).contains(regions.count) else {
            throw .patchCount(regions.count, matrix: matrix)
        }
        var covered = 0
        for (index, region) in regions.enumerated() {
            guard (0...rows).contains(region.rows), (0...columns).contains(region.columns),
                !region.rows.isEmpty, !region.columns.isEmpty
            else { throw .region(region, rows: rows, columns: columns, matrix: matrix) }
            if let other = regions[..<index].first(where: region.overlaps) {
                throw .overlap(region, other, matrix: matrix)
            }
            // Disjoint regions inside the matrix: the sum stays below 2^48.
            covered += region.rows.count * region.columns.count
        }
        guard covered == rows * columns else {
            throw .uncovered(rows * columns - covered, matrix: matrix)
        }
    }

    /// The tensors of a format that represents this region with values stored as `type`.
    func parts(
        of format: Format, storing type: ElementType, matrix: String
    ) throws(ManifestError) -> [Format.Part] {
        let parts: [Format.Part]
        do {
            parts = try format.parts(rows: rows.count, columns: columns.count, storing: type)
        } catch {
            throw .format(error, matrix: matrix)
        }
        // Ranks within their limits can still multiply past `Int`: r·m·n·r of a ring's core.
        for part in parts
        where TensorInfo(name: part.name, elementType: .float64, shape: part.shape) == nil {
            throw .part(part.name, matrix: matrix, problem: "has absurd shape \(part.shape)")
        }
        return parts
    }
}

extension ClosedRange<Int> {
    fileprivate func contains(_ range: Range<Int>) -> Bool {
        lowerBound <= range.lowerBound && range.upperBound <= upperBound
    }
}
