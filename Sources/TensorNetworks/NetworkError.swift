import Tensors

/// Tensors or moments that do not make up what they are given as.
package enum NetworkError: Error, Equatable, CustomStringConvertible {
    /// The shapes name a format that cannot represent the matrix.
    case format(FormatError)
    case shape(part: String, expected: [Int], found: [Int])
    case partCount(expected: Int, found: Int)
    case elementType(part: String, expected: String, found: ElementType)
    case pivot(Int, rows: Int)
    case repeatedPivot(Int)
    /// Term `term` of a sum is of another size than the first.
    case termSize(term: Int, expected: [Int], found: [Int])
    case denseFormat
    /// An input whose last dimension is not the matrix's columns.
    case inputWidth(shape: [Int], columns: Int)
    case notFinite(String)
    case shrinkage(Double)
    /// A scale that is not a number above zero.
    case scale(part: String)

    package var description: String {
        switch self {
        case .format(let error):
            error.description
        case .shape(let part, let expected, let found):
            "\(part) must be \(expected), not \(found)"
        case .partCount(let expected, let found):
            "the format takes \(expected) tensors, not \(found)"
        case .elementType(let part, let expected, let found):
            "\(part) must hold \(expected), not \(found.rawValue)"
        case .pivot(let row, let rows):
            "pivot \(row) is outside the \(rows) rows of the matrix"
        case .repeatedPivot(let row):
            "row \(row) is a pivot twice"
        case .termSize(let term, let expected, let found):
            "term \(term) of a sum represents a \(found) matrix, the first one \(expected)"
        case .denseFormat:
            "a dense matrix is not a network; its layer holds the weight itself"
        case .inputWidth(let shape, let columns):
            "the matrix takes \(columns) columns, the input is \(shape)"
        case .notFinite(let name):
            "\(name) holds NaN or infinity"
        case .shrinkage(let share):
            "shrinkage \(share) is outside 0…1"
        case .scale(let part):
            "a scale of \(part) is not a number above zero"
        }
    }
}
