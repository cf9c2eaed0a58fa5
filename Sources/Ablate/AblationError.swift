import Artifacts

package enum AblationError: Error, CustomStringConvertible {
    case compressed(String)
    case noText
    case sameName(String)
    case fewPrompts(file: String, needed: Int, found: Int, tokens: Int)
    case context(tokens: Int, positions: Int)
    case window(Int, positions: Int)
    case overlap(share: Double, texts: [String])
    case otherRun(file: String, difference: String)
    case otherMeasurement(file: String, difference: String)
    case otherSource(file: String)
    case foreign(String)
    case busy(String)
    case folder(String, SystemFault)

    package var description: String {
        switch self {
        case .compressed(let folder):
            "\(folder) is compressed already; the ablation begins with the dense model"
        case .noText:
            "there is no text to measure on"
        case .sameName(let name):
            "two texts are named \(name); results go by file names, so give them different ones"
        case .fewPrompts(let file, let needed, let found, let tokens):
            "\(file) holds \(found) prompts of \(tokens) tokens, and \(needed) are needed; pass fewer --prompts or --prompt-tokens, or a longer text"
        case .context(let tokens, let positions):
            "prompts and answers of \(tokens) tokens together are beyond the model's context of \(positions)"
        case .window(let window, let positions):
            "windows of \(window) tokens are longer than the model's \(positions) positions"
        case .overlap(let share, let texts):
            "\((share * 1000).rounded() / 10)% of the evaluation text stands in the corpus too (\(texts.joined(separator: ", "))): what is measured on it would be memory; take other text"
        case .otherRun(let file, let difference):
            "\(file): the folder's models are made with another \(difference); choose another output folder, or move it away"
        case .otherMeasurement(let file, let difference):
            "\(file) was measured with another \(difference); remove it to measure this row again, pass --overwrite to measure every row, or choose another output folder"
        case .otherSource(let file):
            "\(file) was measured on another checkpoint, or is another row's; move it away"
        case .foreign(let folder):
            "\(folder) holds something else than an ablation; choose another output folder"
        case .busy(let folder):
            "another process is at work in \(folder)"
        case .folder(let folder, let fault):
            "cannot write \(folder): \(fault)"
        }
    }
}
