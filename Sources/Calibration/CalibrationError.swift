import Artifacts

package enum CalibrationError: Error, CustomStringConvertible {
    case empty
    case token(Int, vocabulary: Int)
    case foreignStates(file: String)
    case foreignMoments(file: String, tensor: String)
    case folder(String, SystemFault)

    package var description: String {
        switch self {
        case .empty:
            "there is no calibration text"
        case .token(let token, let vocabulary):
            "calibration token \(token) is outside the model's vocabulary of \(vocabulary): tokenizer and model do not belong together"
        case .foreignStates(let file):
            "\(file) does not hold this run's hidden states; remove it to begin anew"
        case .foreignMoments(let file, let tensor):
            "\(file) does not hold this model's moments: '\(tensor)' is missing or of another shape; remove the file to collect them anew"
        case .folder(let folder, let fault):
            "cannot write \(folder): \(fault)"
        }
    }
}
