import Artifacts

/// A plan that cannot be made.
package enum PlanError: Error, Equatable, CustomStringConvertible {
    case emptyMap
    case invalidMap(ManifestError)
    case keep(Double)
    case rankMultiple(Int)
    case needsModel
    case context(Int, limit: Int)
    case concurrency(Int)
    /// The cache of so many positions is more than any machine can address.
    case absurdMemory(context: Int, concurrency: Int)
    /// What is not in linear layers takes the whole budget.
    case noRoom(budget: Int, others: Int)
    case tooSmall(unit: LinearAllowance.Unit, limit: Int, least: Int)
    case missingMatrix(String, folder: String)
    case differentMatrix(String, folder: String, found: String, expected: String)
    case differentSource(folder: String, found: Fingerprint, expected: Fingerprint)

    package var description: String {
        switch self {
        case .emptyMap:
            "the sensitivity map has no matrix"
        case .invalidMap(let error):
            "the sensitivity map does not hold: \(error)"
        case .keep(let keep):
            "keep must be above 0 and at most 1, not \(keep)"
        case .rankMultiple(let multiple):
            "ranks cannot be multiples of \(multiple)"
        case .needsModel:
            "a budget for the whole model needs the model"
        case .context(let context, let limit):
            "a context of \(context) tokens is outside 1…\(limit), what the model has positions for"
        case .concurrency(let concurrency):
            "\(concurrency) sequences at a time is outside 1…\(MemoryNeed.mostSequences)"
        case .absurdMemory(let context, let concurrency):
            "\(concurrency) sequences of \(context) tokens need more memory than can be addressed"
        case .noRoom(let budget, let others):
            "the budget is \(budget) bytes, and what is not in linear layers takes \(others)"
        case .tooSmall(let unit, let limit, let least):
            "the budget leaves \(limit) \(unit.rawValue) to the linear layers; the smallest candidates of all matrices take \(least)"
        case .missingMatrix(let matrix, let folder):
            "\(folder) has no matrix '\(matrix)', which the sensitivity map lists"
        case .differentMatrix(let matrix, let folder, let found, let expected):
            "matrix '\(matrix)' of \(folder) is \(found); the sensitivity map has it as \(expected)"
        case .differentSource(let folder, let found, let expected):
            "\(folder) has the fingerprint \(found); the sensitivity map was made from \(expected)"
        }
    }
}
