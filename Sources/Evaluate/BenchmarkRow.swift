/// One measurement, as a line of a table of results: its columns are the keys that it has in JSON.
package protocol BenchmarkRow: Codable, Sendable {
    associatedtype Column: CodingKey, CaseIterable

    func text(of column: Column) -> String
}

extension BenchmarkRow {
    /// Names with their units, as in "step_ms".
    package static var columns: [String] { Column.allCases.map(\.stringValue) }
    package var values: [String] { Column.allCases.map(text) }
}
