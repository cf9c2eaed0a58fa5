import Artifacts

package enum CompressError: Error, CustomStringConvertible {
    case keep(Double)
    case alreadyCompressed(folder: String)
    case alreadyDense(String)
    case alreadyQuantized(folder: String)
    case planOfOther(plan: Fingerprint, model: Fingerprint)
    case planMatrix(String, problem: String)
    case sharing(String, String)
    case refinedSharing(String, String)
    case nothingFits(matrix: String, format: String, keep: Double)

    package var description: String {
        switch self {
        case .keep(let keep):
            "keep must be above 0 and below 1, not \(keep)"
        case .alreadyCompressed(let folder):
            "\(folder) is compressed already; compress the dense checkpoint that it was made from"
        case .alreadyDense(let folder):
            "\(folder) is a dense checkpoint already"
        case .alreadyQuantized(let folder):
            "\(folder) is quantised already; quantise the model that it was made from"
        case .planOfOther(let plan, let model):
            "the plan was made for checkpoint \(plan.hex.prefix(12))…, and this model is \(model.hex.prefix(12))…; analyze and plan this one"
        case .planMatrix(let matrix, let problem):
            "the plan's matrix '\(matrix)' \(problem)"
        case .sharing(let leader, let other):
            "\(leader) and \(other) share an input factor and do not read the same: such fits need \"anchor\" left out of the plan's fit, or --anchor 0"
        case .refinedSharing(let leader, let other):
            "\(leader) and \(other) share an input factor, which cannot be refined: leave out --refine or the sharing"
        case .nothingFits(let matrix, let format, let keep):
            "\(matrix): no \(format) fits in \(keep) of its parameters"
        }
    }
}
