import TensorNetworks
import Tensors

/// A sensitivity map, a plan or a manifest that contradicts itself or the tensors.
package enum ManifestError: Error, Equatable, CustomStringConvertible {
    case version(Int, Int)
    case decoding(String)
    case unknownKey(String)
    case differentSource(manifest: Fingerprint, plan: Fingerprint)
    case repeated(String)
    case size(rows: Int, columns: Int, matrix: String)
    case patchCount(Int, matrix: String)
    case region(MatrixRegion, rows: Int, columns: Int, matrix: String)
    case overlap(MatrixRegion, MatrixRegion, matrix: String)
    case uncovered(Int, matrix: String)
    case format(FormatError, matrix: String)
    case elementType(ElementType, matrix: String)
    case part(String, matrix: String, problem: String)
    /// A number of a matrix outside of what it can be.
    case number(String, Double, matrix: String, expected: String)
    /// A number of a report outside of what it can be.
    case quantity(String, Double, expected: String)
    case candidate(Format.Kind, matrix: String, problem: String)
    case elements(limit: Int)
    /// A setting of the fit, and what is wrong with it.
    case setting(String, String)
    case sharing(matrix: String, with: String, problem: String)
    /// A key of a table of times, and what is wrong with it.
    case time(String, String)

    package var description: String {
        switch self {
        case .version(let found, let known):
            "it has format version \(found); this program reads version \(known)"
        case .decoding(let reason):
            reason
        case .unknownKey(let path):
            "unknown key '\(path)'"
        case .differentSource(let manifest, let plan):
            "its plan was made for checkpoint \(plan), not for \(manifest)"
        case .repeated(let matrix):
            "matrix '\(matrix)' appears twice"
        case .size(let rows, let columns, let matrix):
            "matrix '\(matrix)' cannot be \(rows)×\(columns)"
        case .patchCount(let count, let matrix):
            "matrix '\(matrix)' has \(count) patches, outside 1…\(MatrixRegion.mostPatches)"
        case .region(let region, let rows, let columns, let matrix):
            "patch \(region) is not inside the \(rows)×\(columns) matrix '\(matrix)'"
        case .overlap(let region, let other, let matrix):
            "patches \(region) and \(other) of matrix '\(matrix)' overlap"
        case .uncovered(let elements, let matrix):
            "the patches of matrix '\(matrix)' leave \(elements) elements uncovered"
        case .format(let error, let matrix):
            "matrix '\(matrix)': \(error)"
        case .elementType(let type, let matrix):
            "matrix '\(matrix)' cannot hold values of type \(type.rawValue)"
        case .part(let part, let matrix, let problem):
            "part '\(part)' of matrix '\(matrix)' \(problem)"
        case .number(let key, let value, let matrix, let expected):
            "'\(key)' of matrix '\(matrix)' is \(value), not \(expected)"
        case .quantity(let key, let value, let expected):
            "'\(key)' is \(value), not \(expected)"
        case .candidate(let kind, let matrix, let problem):
            "a \(kind.rawValue) candidate of matrix '\(matrix)' \(problem)"
        case .elements(let limit):
            "its matrices together have more than \(limit) elements"
        case .time(let key, let problem):
            "'\(key)' \(problem)"
        case .setting(let key, let problem):
            "the fit's '\(key)' \(problem)"
        case .sharing(let matrix, let other, let problem):
            "matrix '\(matrix)' cannot share the input factor of '\(other)', which \(problem)"
        }
    }
}

extension ManifestError {
    /// Beyond it nothing goes that is counted or timed.
    static let most = 1e16
    /// What can be added up and drawn: a training that goes wrong may lose any amount.
    static let drawable = -1e300...1e300

    /// - Returns: `nil` where `value` is what it can be.
    static func quantity(
        _ key: @autoclosure () -> String, _ value: Double, outside range: ClosedRange<Double>
    ) -> ManifestError? {
        func words(_ bound: Double) -> String {
            bound == bound.rounded() && abs(bound) < most ? "\(Int(bound))" : "\(bound)"
        }
        guard !range.contains(value) else { return nil }
        return .quantity(
            key(), value,
            expected: "a number from \(words(range.lowerBound)) to \(words(range.upperBound))")
    }
}
