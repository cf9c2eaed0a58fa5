import Artifacts

package enum CompareError: Error, CustomStringConvertible {
    case noTexts
    case sameName(String)
    case foreign(file: String, difference: String)
    case misnamed(file: String, expected: String)
    case folder(String, SystemFault)
    case noOracle
    case oracleOfOther(map: Fingerprint, model: Fingerprint)
    case unmeasured(matrix: String)

    package var description: String {
        switch self {
        case .noTexts:
            "there is no text to measure on"
        case .sameName(let name):
            "two texts are named \(name); results go by file names, so give them different ones"
        case .foreign(let file, let difference):
            "\(file) was measured with another \(difference); choose another output folder, or move it away"
        case .misnamed(let file, let expected):
            "\(file) holds the entry \(expected); give it its name back, or move it away"
        case .folder(let folder, let fault):
            "cannot write \(folder): \(fault)"
        case .noOracle:
            "needs a map of measured divergences: --oracle-map"
        case .oracleOfOther(let map, let model):
            "the oracle's map was made for checkpoint \(map.hex.prefix(12))…, and this model is \(model.hex.prefix(12))…"
        case .unmeasured(let matrix):
            "the oracle's map has no measured divergence of '\(matrix)'"
        }
    }
}
