import Artifacts

/// Artifacts that no report can be made of.
package enum ReportError: Error, Equatable, CustomStringConvertible {
    case noInput
    /// A sensitivity map or a plan without any matrix.
    case noMatrix(file: String)
    case notFolder(String)
    case emptyFolder(String)
    case noDraftReport(String)
    case differentSource(file: String, found: Fingerprint, other: String, expected: Fingerprint)
    /// Comparisons of one model's name and two checkpoints.
    case modelOfTwoSources(String, file: String, other: String)
    /// None of the compared models is the one of the other artifacts.
    case notCompared(file: String, source: Fingerprint, compared: [Fingerprint])
    case repeatedEntry(file: String, other: String)
    /// A matrix or a plan of more than an exabyte.
    case absurdSize(String)
    case number(file: String, key: String, value: Double, expected: String)

    package var description: String {
        switch self {
        case .noInput:
            "there is nothing to report: give a sensitivity map, a plan, a compression report, a draft or comparisons"
        case .noMatrix(let file):
            "\(file) lists no matrix"
        case .notFolder(let path):
            "\(path) is not a folder; --compare takes the folder that holds the comparisons"
        case .emptyFolder(let folder):
            "\(folder) holds no *.json file"
        case .noDraftReport(let folder):
            "\(folder) holds no \(DraftReport.file), which `minima draft` writes beside a draft's weights"
        case .differentSource(let file, let found, let other, let expected):
            "\(file) was made from checkpoint \(Self.short(found)), and \(other) from \(Self.short(expected)); one report shows one checkpoint"
        case .modelOfTwoSources(let model, let file, let other):
            "\(file) and \(other) both call their model '\(model)', and were made from different checkpoints"
        case .notCompared(let file, let source, let compared):
            "\(file) was made from checkpoint \(Self.short(source)), and the comparisons from "
                + compared.map(Self.short).joined(separator: ", ")
        case .repeatedEntry(let file, let other):
            "\(file) and \(other) are the same method at the same budget on the same model"
        case .absurdSize(let owner):
            "\(owner) would take more than an exabyte"
        case .number(let file, let key, let value, let expected):
            "\(file): '\(key)' is \(value), not \(expected)"
        }
    }

    private static func short(_ source: Fingerprint) -> String { "\(source.hex.prefix(12))…" }
}
