// The folder of a comparison: one JSON file per method and budget, each written when it is complete, so that
// several processes can fill one folder and a killed one goes on where it was. Work in progress is in .work.
import Artifacts
import Foundation
import Glibc

struct ComparisonFolder {
    let path: String
    let source: Fingerprint
    /// What all entries must have been measured with.
    let common: [String: JSONValue]

    /// Makes the folder where it is missing.
    init(_ path: String, source: Fingerprint, common: [String: JSONValue]) throws {
        self.path = path
        self.source = source
        self.common = common
        try Self.create(path)
        try Self.create(work)
    }

    private var work: String { "\(path)/.work" }

    static func name(_ method: String, _ keep: Double) -> String { "\(method)-\(keep)" }

    private func file(_ name: String) -> String { "\(path)/\(name).json" }

    /// Every entry there is, in the order of names.
    /// - Parameter replaced: names of entries that will be measured again.
    /// - Throws: where one was measured of another checkpoint, or in another way.
    func entries(but replaced: Set<String> = []) throws -> [ComparisonEntry] {
        let names = try FileManager.default.contentsOfDirectory(atPath: path)
            .filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }.sorted()
            .map { String($0.dropLast(5)) }
        return try names.filter { !replaced.contains($0) }.map(entry)
    }

    func contains(_ name: String) -> Bool {
        FileManager.default.fileExists(atPath: file(name))
    }

    private func entry(_ name: String) throws -> ComparisonEntry {
        let file = file(name)
        let entry = try ComparisonEntry.read(file)
        guard entry.source == source else {
            throw CompareError.foreign(file: file, difference: "checkpoint")
        }
        let found = entry.settings.filter { common[$0.key] != nil }
        if let difference = common.difference(from: found) {
            throw CompareError.foreign(file: file, difference: difference)
        }
        let expected = Self.name(entry.method, entry.keep)
        guard expected == name else { throw CompareError.misnamed(file: file, expected: expected) }
        return entry
    }

    func write(_ entry: ComparisonEntry) throws {
        try entry.write(file(Self.name(entry.method, entry.keep)))
    }

    // MARK: Work

    /// Where the entry's checkpoint is made. Work of other settings has another name, so that none is
    /// taken for this run's.
    func workPath(_ name: String, _ settings: [String: JSONValue]) throws -> String {
        let key = Fingerprint(hashing: [
            Array(source.hex.utf8), try StrictJSON.encode(settings),
        ])
        return "\(work)/\(name)-\(key.hex.prefix(8))"
    }

    /// Runs `body` while no other process works on the entry.
    /// - Parameter waiting: wait for another process; else leave it to that.
    /// - Returns: whether it was run.
    func withLock(_ name: String, waiting: Bool, _ body: () throws -> Void) throws -> Bool {
        let path = "\(work)/\(name).lock"
        let lock: FileLock?
        do {
            lock = try waiting ? FileLock.wait(path) : FileLock.attempt(path)
        } catch CheckpointError.unwritable(let file, let fault) {
            throw CompareError.folder(file, fault)
        }
        guard let lock else { return false }
        defer { unlink(path) }
        try withExtendedLifetime(lock, body)
        return true
    }

    /// Removes the place of work where nothing is left in it.
    func finish() { rmdir(work) }

    private static func create(_ path: String) throws {
        do {
            try SystemFault.createFolder(path)
        } catch {
            throw CompareError.folder(path, error)
        }
    }
}
