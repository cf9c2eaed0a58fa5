package enum MeasurementStoreError: Error, Equatable, CustomStringConvertible {
    case damaged(file: String, reason: String)
    case foreign(file: String)
    case newer(file: String, version: Int, known: Int)
    case busy(file: String)
    case inaccessible(file: String, reason: String)
    case number(String, Double, matrix: String)

    package var description: String {
        switch self {
        case .damaged(let file, let reason):
            "\(file) is no measurement store, or damaged (\(reason)); move it away to begin a new one"
        case .foreign(let file):
            "\(file) is a database of another program; name another store"
        case .newer(let file, let version, let known):
            "\(file) was written by a newer Minima: version \(version), this one knows \(known)"
        case .busy(let file):
            "\(file) has been locked by another program for too long"
        case .inaccessible(let file, let reason):
            "cannot use the measurement store \(file): \(reason)"
        case .number(let what, let value, let matrix):
            "the \(what) measured of \(matrix) is \(value), not a finite number from 0"
        }
    }
}
