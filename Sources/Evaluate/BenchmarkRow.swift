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

/// Columns of one table beside those of another.
package enum JoinedColumn<First: CodingKey & CaseIterable, Second: CodingKey & CaseIterable>:
    CodingKey, CaseIterable
{
    case first(First)
    case second(Second)

    package static var allCases: [Self] {
        First.allCases.map(Self.first) + Second.allCases.map(Self.second)
    }

    package init?(stringValue: String) {
        if let first = First(stringValue: stringValue) {
            self = .first(first)
        } else if let second = Second(stringValue: stringValue) {
            self = .second(second)
        } else {
            return nil
        }
    }

    package init?(intValue: Int) { nil }

    package var stringValue: String {
        switch self {
        case .first(let column): column.stringValue
        case .second(let column): column.stringValue
        }
    }

    package var intValue: Int? { nil }
}
