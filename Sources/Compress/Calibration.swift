import Artifacts

/// The text on which the inputs of the linear layers are observed.
package enum Calibration {
    /// Windows of equally many token ids.
    case text([[Int]])
    /// Windows that take long to make, as text sampled from the model does: they are made once and
    /// kept with the unfinished run. `origin` says how, and equal origins make equal windows.
    case made(origin: String, () throws -> [[Int]])

    var origin: String {
        switch self {
        case .text: "text"
        case .made(let origin, _): origin
        }
    }

    func windows() throws -> [[Int]] {
        switch self {
        case .text(let windows): windows
        case .made(_, let make): try make()
        }
    }
}
