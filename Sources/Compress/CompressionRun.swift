// The folder of an unfinished compression, <output>.partial: everything that a killed run has finished,
// under names that tell what it is. A file there is whole, because it is written under another name
// first; so what exists need not be done again.
import Artifacts
import Foundation
import Glibc
import Tensors

struct CompressionRun {
    let folder: String
    private let output: String
    let shardCount: Int

    /// Opens the folder beside `output`, or makes it.
    /// - Parameters:
    ///   - journal: what the run was asked for; a folder with another journal is refused.
    ///   - restart: discard what is there.
    init(
        for output: String, layers: Int, journal: [String: JSONValue], restart: Bool
    ) throws {
        self.output = output
        folder = output + ".partial"
        shardCount = layers + 1
        let files = FileManager.default
        if restart, files.fileExists(atPath: folder) { try Self.remove(folder) }
        let journalPath = "\(folder)/\(Self.journalName)"
        if files.fileExists(atPath: journalPath) {
            try Self.check(journalPath, against: journal, folder: folder)
        } else {
            try Self.create(folder)
            // Only the first moments of a run leave a folder without a journal.
            guard try files.contentsOfDirectory(atPath: folder).allSatisfy({ $0.hasPrefix(".") })
            else { throw CompressError.foreignFolder(folder) }
            try AtomicFile.write(try Self.encoded(journal), to: journalPath)
        }
    }

    // MARK: Names

    /// Shard 0 holds embedding, final norm and head; shard `1 + layer` a block.
    func shardName(_ shard: Int) -> String {
        String(format: "model-%05d-of-%05d.safetensors", shard + 1, shardCount)
    }

    func shardPath(_ shard: Int) -> String { "\(folder)/\(shardName(shard))" }

    func isDone(_ shard: Int) -> Bool { FileManager.default.fileExists(atPath: shardPath(shard)) }

    /// Hidden states that block `layer` reads.
    func statesPath(_ layer: Int) -> String { "\(folder)/states-\(layer).safetensors" }

    /// How well block `layer`'s matrices were fitted.
    func recordPath(_ layer: Int) -> String { "\(folder)/block-\(layer).json" }

    // MARK: Calibration

    /// The run's calibration windows: those kept from before, or new ones, which are kept.
    func calibrationWindows(_ calibration: Calibration) throws -> [[Int]] {
        let path = "\(folder)/calibration.safetensors"
        let (name, fileManager) = ("tokens", FileManager.default)
        if fileManager.fileExists(atPath: path) {
            let tokens = try SafetensorsFile(path).tensor(named: name)
            let all = try tokens.elements(as: Int.self)
            let length = tokens.shape[1]
            let kept = stride(from: 0, to: all.count, by: length).map {
                Array(all[$0..<$0 + length])
            }
            if case .text(let windows) = calibration, windows != kept {
                throw CompressError.otherRun(folder: folder, difference: "calibration text")
            }
            return kept
        }
        let windows = try calibration.windows()
        guard let length = windows.first?.count, length > 0 else { throw CompressError.noCalibration }
        precondition(windows.allSatisfy { $0.count == length }, "windows are equally long")
        let tokens = try Tensor(windows.flatMap { $0 }, shape: [windows.count, length])
        let writer = try SafetensorsWriter(path, declaring: [TensorInfo(name: name, of: tokens)])
        try writer.write(tokens, named: name)
        try writer.finish()
        return windows
    }

    // MARK: End

    /// Removes what only the run needed and gives the folder its final name. The journal goes last,
    /// after the renaming, so that a run killed in between is recognised and completed.
    func publish(overwrite: Bool) throws {
        let files = FileManager.default
        for name in try files.contentsOfDirectory(atPath: folder)
        where name.hasPrefix("states-") || name.hasPrefix("block-") || name.hasPrefix(".")
            || name == "calibration.safetensors"
        {
            try Self.remove("\(folder)/\(name)")
        }
        try OutputFolder.rename(folder, to: output, overwrite: overwrite)
        try Self.remove("\(output)/\(Self.journalName)")
    }

    /// Whether `output` is this run's result; where it was killed just before its end, ends it.
    static func isPublished(_ output: String, journal: [String: JSONValue]) throws -> Bool {
        let path = "\(output)/\(journalName)"
        guard FileManager.default.fileExists(atPath: path) else { return false }
        try check(path, against: journal, folder: output)
        try remove(path)
        return true
    }

    private static let journalName = "journal.json"

    // MARK: Files

    private static func encoded(_ value: [String: JSONValue]) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        return try encoder.encode(value) + Data("\n".utf8)
    }

    private static func check(
        _ path: String, against journal: [String: JSONValue], folder: String
    ) throws {
        let found = try JSONDecoder().decode(
            [String: JSONValue].self, from: try Data(contentsOf: URL(fileURLWithPath: path)))
        // Through JSON, so that 1 and 1.0 compare as the file stores them.
        let wanted = try JSONDecoder().decode([String: JSONValue].self, from: try encoded(journal))
        for key in Set(found.keys).union(wanted.keys).sorted() where found[key] != wanted[key] {
            throw CompressError.otherRun(folder: folder, difference: key)
        }
    }

    private static func create(_ folder: String) throws {
        guard mkdir(folder, 0o777) == 0 || errno == EEXIST else {
            throw CompressError.folder(folder, SystemFault.latest)
        }
    }

    private static func remove(_ path: String) throws {
        do { try FileManager.default.removeItem(atPath: path) } catch {
            throw CompressError.removal(path, error.localizedDescription)
        }
    }
}
