// The folder of an unfinished compression, <output>.run: everything that a killed run has finished,
// under names that tell what it is. A file there is whole, because it is written under another name
// first; so what exists need not be done again.
import Artifacts
import Calibration
import Foundation
import Glibc
import Tensors

struct CompressionRun {
    private let folder: String

    /// Opens the folder beside `output`, or makes it.
    /// - Parameters:
    ///   - journal: what the run was asked for; a folder with another journal is refused.
    ///   - restart: discard what is there.
    init(for output: String, journal: [String: JSONValue], restart: Bool) throws {
        folder = Self.folder(of: output)
        let files = FileManager.default
        if restart { try Self.end(for: output) }
        if let found = try Self.journal(in: folder) {
            for key in Set(found.keys).union(journal.keys).sorted() where found[key] != journal[key]
            {
                throw CompressError.otherRun(folder: folder, difference: key)
            }
            return
        }
        guard mkdir(folder, 0o777) == 0 || errno == EEXIST else {
            throw CompressError.folder(folder, .latest)
        }
        // Only the first moments of a run leave a folder without a journal.
        guard try files.contentsOfDirectory(atPath: folder).allSatisfy({ $0.hasPrefix(".") }) else {
            throw CompressError.foreignFolder(folder)
        }
        try AtomicFile.write(StrictJSON.encode(journal), to: Self.journalPath(folder))
    }

    /// Whether a run for `output` with this journal has not been ended.
    static func isOpen(for output: String, journal: [String: JSONValue]) throws -> Bool {
        try Self.journal(in: folder(of: output)) == journal
    }

    /// Forgets the run: once its result is in place, or to begin anew.
    ///
    /// All at once, by a new name: a folder whose journal is removed before the rest would be taken for
    /// somebody else's.
    static func end(for output: String) throws {
        let folder = folder(of: output)
        let ended = folder + ".ended"
        let files = FileManager.default
        if files.fileExists(atPath: ended) { try files.removeItem(atPath: ended) }
        guard files.fileExists(atPath: folder) else { return }
        guard rename(folder, ended) == 0 else { throw CompressError.folder(folder, .latest) }
        try files.removeItem(atPath: ended)
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

    private static func folder(of output: String) -> String { output + ".run" }

    private static func journalPath(_ folder: String) -> String { "\(folder)/journal.json" }

    private static func journal(in folder: String) throws -> [String: JSONValue]? {
        guard let contents = FileManager.default.contents(atPath: journalPath(folder)) else {
            return nil
        }
        return try StrictJSON.decode(
            [String: JSONValue].self, from: Array(contents), of: journalPath(folder))
    }

    // MARK: Calibration

    /// The run's calibration windows: those kept from before, or new ones, which are kept.
    func calibrationWindows(_ calibration: CalibrationText) throws -> [[Int]] {
        let path = "\(folder)/calibration.safetensors"
        if FileManager.default.fileExists(atPath: path) {
            let kept = try WindowFile.read(path)
            if case .text(let windows) = calibration, windows != kept {
                throw CompressError.otherRun(folder: folder, difference: "calibration text")
            }
            return kept
        }
        let windows = try calibration.windows()
        try WindowFile.write(windows, to: path)
        return windows
    }
}
