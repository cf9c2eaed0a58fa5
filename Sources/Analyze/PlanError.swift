import Artifacts
import Foundation
import TensorNetworks

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
    case decodeRate(Double)
    /// A candidate's kind that the table of times does not have.
    case noTimes(Format.Kind)
    case noBatch(Int, measured: [Int])
    /// No plan within the budget is that fast; `reachable` tokens per second are, with `other` seconds of
    /// every step spent outside of the linear layers.
    case tooSlow(wanted: Double, reachable: Double, other: Double)
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
        case .decodeRate(let rate):
            "a decode rate must be a number above 0, not \(rate)"
        case .noTimes(let kind):
            "the table of kernel times has no \(kind.rawValue), which the sensitivity map lists; `minima bench kernels --formats …,\(kind.rawValue)` measures it"
        case .noBatch(let count, let measured):
            "the table of kernel times has steps of \(measured.map(String.init).joined(separator: ", ")) sequences, not of \(count); `minima bench kernels --batch …,\(count)` measures it"
        case .tooSlow(let wanted, let reachable, let other):
            "\(wanted.brief) tokens per second cannot be reached within the budget: \(reachable.brief) can (\((1_000 * other).brief) ms of every step pass outside of the linear layers)"
        case .missingMatrix(let matrix, let folder):
            "\(folder) has no matrix '\(matrix)', which the sensitivity map lists"
        case .differentMatrix(let matrix, let folder, let found, let expected):
            "matrix '\(matrix)' of \(folder) is \(found); the sensitivity map has it as \(expected)"
        case .differentSource(let folder, let found, let expected):
            "\(folder) has the fingerprint \(found); the sensitivity map was made from \(expected)"
        }
    }
}

extension Double {
    /// With three significant digits.
    fileprivate var brief: String { String(format: "%.3g", self) }
}
