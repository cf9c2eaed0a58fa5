import Artifacts

/// The text on which a model's linear layers are observed.
package enum CalibrationText {
    /// Windows of equally many token ids.
    case text([[Int]])
    /// Windows that take long to make, as text sampled from the model does: they are made once and
    /// kept with the unfinished run. `origin` says how, and equal origins make equal windows.
    case made(origin: String, () throws -> [[Int]])

    package var origin: String {
        switch self {
        case .text: "text"
        case .made(let origin, _): origin
        }
    }

    package func windows() throws -> [[Int]] {
        switch self {
        case .text(let windows): windows
        case .made(_, let make): try make()
        }
    }

    /// Throws where there is no window, or one that the model cannot read.
    package static func check(
        _ windows: [[Int]], against configuration: ModelConfiguration
    ) throws(CalibrationError) {
        guard let length = windows.first?.count, length > 0 else { throw .empty }
        precondition(windows.allSatisfy { $0.count == length }, "windows are equally long")
        for window in windows {
            if let token = window.first(where: { !(0..<configuration.vocabularySize).contains($0) })
            {
                throw .token(token, vocabulary: configuration.vocabularySize)
            }
        }
    }
}
