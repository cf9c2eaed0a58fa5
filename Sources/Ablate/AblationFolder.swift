// The folder of an ablation: settings.json (what its models are made with), sensitivity.json, models/ with a checkpoint for each
// step, and rows/ with a JSON file for each row. All of them appear when they are complete, so that a run that is killed goes
// on where it was.
import Artifacts
import Foundation

struct AblationFolder {
    private let path: String
    private let source: Fingerprint
    private let lock: FileLock

    private static func settings(in path: String) -> String { "\(path)/settings.json" }

    /// Whether an ablation has begun in the folder.
    static func isBegun(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: settings(in: path))
    }

    /// Makes the folder, or goes on with one that has the same settings.
    /// - Parameter settings: of its models. Whole numbers and texts, which files keep exactly, or numbers as they were given.
    /// - Throws: where it holds something else, or another process is at work in it.
    init(
        _ path: String, source: Fingerprint, settings: [String: JSONValue]
    ) throws {
        (self.path, self.source) = (path, source)
        let file = Self.settings(in: path)
        let contents = FileManager.default.contents(atPath: file)
        if let contents {
            let found = try StrictJSON.decode(
                [String: JSONValue].self, from: Array(contents), of: file)
            if let difference = settings.difference(from: found) {
                throw AblationError.otherRun(file: file, difference: difference)
            }
        } else {
            try Self.create(path)
            guard
                try FileManager.default.contentsOfDirectory(atPath: path).allSatisfy({
                    $0.hasPrefix(".")
                })
            else { throw AblationError.foreign(path) }
        }
        guard let lock = try FileLock.attempt("\(path)/.lock") else {
            throw AblationError.busy(path)
        }
        self.lock = lock
        for folder in ["models", "rows"] { try Self.create("\(path)/\(folder)") }
        if contents == nil { try AtomicFile.write(StrictJSON.encode(settings), to: file) }
    }

    private static func create(_ path: String) throws {
        do {
            try SystemFault.createFolder(path)
        } catch {
            throw AblationError.folder(path, error)
        }
    }

    // MARK: Models

    var map: String { "\(path)/sensitivity.json" }

    func contains(_ file: String) -> Bool { FileManager.default.fileExists(atPath: file) }

    /// The folder of a model, once `make` has made it.
    func model(_ name: String, _ make: (String) throws -> Void) throws -> String {
        let folder = "\(path)/models/\(name)"
        if contains(folder) {
            // Killed when its model was in place already.
            try RunFolder.end(for: folder)
        } else {
            try make(folder)
        }
        return folder
    }

    // MARK: Rows

    private func file(_ row: AblationRow) -> String { "\(path)/rows/\(row.rawValue).json" }

    /// - Returns: `nil` where the row is not measured yet.
    /// - Throws: where it was measured in another way.
    func entry(_ row: AblationRow, measuredWith settings: [String: JSONValue]) throws
        -> AblationEntry?
    {
        let file = file(row)
        guard contains(file) else { return nil }
        let entry = try AblationEntry.read(file)
        guard entry.source == source, entry.row == row.rawValue else {
            throw AblationError.otherSource(file: file)
        }
        if let difference = settings.difference(from: entry.settings) {
            throw AblationError.otherMeasurement(file: file, difference: difference)
        }
        return entry
    }

    func write(_ entry: AblationEntry, of row: AblationRow) throws { try entry.write(file(row)) }
}
