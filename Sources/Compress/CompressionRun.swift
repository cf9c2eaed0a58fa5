// The folder of an unfinished compression, <output>.run: everything that a killed run has finished,
// under names that tell what it is. A file there is whole, because it is written under another name
// first; so what exists need not be done again.
import Artifacts
import Calibration
import Foundation

struct CompressionRun {
    private let folder: String

    /// Opens the folder beside `output`, or makes it.
    /// - Parameters:
    ///   - journal: what the run was asked for; a folder with another journal is refused.
    ///   - restart: discard what is there.
    init(for output: String, journal: [String: JSONValue], restart: Bool) throws {
        folder = try RunFolder(for: output, journal: journal, restart: restart).path
    }

    // MARK: Names

    /// The compressed matrices of block `layer`.
    func partsPath(_ layer: Int) -> String { "\(folder)/block-\(layer).safetensors" }

    /// How well they were fitted.
    func recordPath(_ layer: Int) -> String { "\(folder)/block-\(layer).json" }

    /// Hidden states on the calibration text.
    enum States: String {
        /// Those that a block reads.
        case dense, compressed
        /// Those between its attention and its feed-forward layers.
        case denseMiddle = "dense-middle"
        case compressedMiddle = "compressed-middle"
        /// What a refined block aims at.
        case target
    }

    func statesPath(_ states: States, _ layer: Int) -> String {
        "\(folder)/states-\(states.rawValue)-\(layer).safetensors"
    }

    func isDone(_ layer: Int) -> Bool { FileManager.default.fileExists(atPath: partsPath(layer)) }

    // MARK: Calibration

    /// The run's calibration windows: those kept from before, or new ones, which are kept.
    func calibrationWindows(_ calibration: CalibrationText) throws -> [[Int]] {
        let path = "\(folder)/calibration.safetensors"
        if FileManager.default.fileExists(atPath: path) {
            let kept = try WindowFile.read(path)
            if case .text(let windows) = calibration, windows != kept {
                throw RunFolderError.otherRun(folder: folder, difference: "calibration text")
            }
            return kept
        }
        let windows = try calibration.windows()
        try WindowFile.write(windows, to: path)
        return windows
    }
}
