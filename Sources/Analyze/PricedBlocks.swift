import Artifacts
import Foundation

/// The blocks that an analysis has priced, on disk until its map is complete: a run that is killed does
/// not price them again.
struct PricedBlocks {
    private let prefix: String
    private let folder: String

    /// - Parameter settings: an analysis with others does not see these blocks.
    init(in folder: String, settings: [String: JSONValue]) throws {
        self.folder = folder
        let key = Fingerprint(hashing: [try StrictJSON.encode(settings)])
        prefix = "priced-\(key.hex.prefix(12))-"
    }

    private func path(_ layer: Int) -> String { "\(folder)/\(prefix)\(layer).json" }

    func has(_ layer: Int) -> Bool { FileManager.default.fileExists(atPath: path(layer)) }

    func write(_ matrices: [MatrixSensitivity], layer: Int) throws {
        try AtomicFile.write(StrictJSON.encode(matrices), to: path(layer))
    }

    func read(_ layer: Int) throws -> [MatrixSensitivity] {
        let contents = try Data(contentsOf: URL(fileURLWithPath: path(layer)))
        return try StrictJSON.decode(
            [MatrixSensitivity].self, from: Array(contents), of: path(layer))
    }

    func remove() throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: folder)
        where name.hasPrefix(prefix) {
            try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
        }
    }
}
