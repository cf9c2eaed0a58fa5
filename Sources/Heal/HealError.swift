import Artifacts

package enum HealError: Error, CustomStringConvertible {
    case foreignTokens(file: String)
    case textTooShort(files: [String], window: Int)
    case teacherNeeded
    case wrongTeacher(teacher: Fingerprint, expected: Fingerprint)
    case compressedTeacher(String)
    case quantized(String)
    case vocabulary(tokenizer: Int, model: Int)
    case window(Int, positions: Int)
    case nothingToLearn
    case notFinite(what: String, step: Int, batch: [String])
    case overlap(share: Double, files: [String])
    case teacherCache(vocabulary: Int)
    case noState(folder: String)
    case taskLine(file: String, line: Int, cause: String)
    case tasksTooLong(file: String, window: Int)

    package var description: String {
        switch self {
        case .foreignTokens(let file):
            "\(file) does not hold the tokens of a text; remove it, and it is made again"
        case .textTooShort(let files, let window):
            "\(files.joined(separator: ", ")): too short for one window of \(window) tokens and the one that follows; pass a smaller --window"
        case .teacherNeeded:
            "--kl and --hidden compare with a teacher: pass --teacher, the model that was compressed, or --kl 0 --next-token 1"
        case .wrongTeacher(let teacher, let expected):
            "the teacher is checkpoint \(teacher.hex.prefix(12))…, and the model was compressed from \(expected.hex.prefix(12))…; pass the one that it was compressed from"
        case .compressedTeacher(let folder):
            "\(folder) is compressed itself; the teacher is the dense model"
        case .quantized(let folder):
            "\(folder) is quantised, and values of one byte cannot be trained: heal the model before it is quantised"
        case .vocabulary(let tokenizer, let model):
            "the tokenizer has \(tokenizer) tokens and the model a vocabulary of \(model)"
        case .window(let window, let positions):
            "windows of \(window) tokens are longer than the model's \(positions) positions"
        case .nothingToLearn:
            "every weight of the loss is 0: there is nothing to learn from"
        case .notFinite(let what, let step, let batch):
            "the \(what) of step \(step) is not finite; nothing was changed by it, and the last state is kept. Its batch: "
                + batch.prefix(8).joined(separator: "; ")
                + (batch.count > 8 ? "; and \(batch.count - 8) more windows" : "")
        case .overlap(let share, let files):
            "\(percent(share)) of the evaluation text stands in the training text too (\(files.joined(separator: ", "))): what is measured on it would be memory; take other text, or pass --allow-overlap"
        case .teacherCache(let vocabulary):
            "--teacher-cache keeps fewer than the vocabulary's \(vocabulary) predictions of a token, and no hidden states: --hidden must be 0"
        case .noState(let folder):
            "\(folder) holds no state that can be read; pass --restart to begin anew"
        case .taskLine(let file, let line, let cause):
            "\(file): line \(line): \(cause)"
        case .tasksTooLong(let file, let window):
            "\(file): no example fits into a window of \(window) tokens"
        }
    }

    private func percent(_ share: Double) -> String {
        "\((share * 1000).rounded() / 10)%"
    }
}
