import Artifacts
import Foundation

/// `run.json`: what each stage of a run was made of, so that none is made twice and none is kept that was made of
/// something else.
struct RunJournal: JSONArtifact {
    static let noun = "journal of a run"
    static let currentVersion = 1
    static let largestFile = 1 << 20

    /// What a stage depends on.
    struct Identity: Codable, Equatable {
        /// Keys of the recipe, as "plan.keep", with what stood there.
        let settings: [String: String]
        /// SHA-256 of what the stage read, by the name of it.
        let inputs: [String: Fingerprint]
    }

    struct Entry: Codable {
        let identity: Identity
        /// SHA-256 of what it made; nothing while it is not finished.
        var results: [String: Fingerprint]?
        /// Of the run that finished it.
        var seconds: Double?
    }

    let version: Int
    var stages: [String: Entry]

    init() {
        version = Self.currentVersion
        stages = [:]
    }

    func validate() throws(ManifestError) {
        guard version == Self.currentVersion else { throw .version(version, Self.currentVersion) }
    }

    subscript(stage: RecipeStage) -> Entry? {
        get { stages[stage.rawValue] }
        set { stages[stage.rawValue] = newValue }
    }
}

extension RunJournal.Identity {
    /// What is no longer what it was, in words.
    func differences(from old: Self) -> [String] {
        let keys = Set(settings.keys).union(old.settings.keys).sorted()
        let changed = keys.filter { settings[$0] != old.settings[$0] }.map { key in
            func words(_ value: String?) -> String { value ?? "not given" }
            return "\(key) was \(words(old.settings[key])) and is \(words(settings[key]))"
        }
        let names = Set(inputs.keys).union(old.inputs.keys).sorted()
        return changed
            + names.filter { inputs[$0] != old.inputs[$0] }.map { "another \($0)" }
    }
}

/// SHA-256 of whatever a stage reads or makes: checkpoints by their contents, other folders by all their files.
/// Each is computed once in a run.
final class InputFingerprints {
    private var known: [String: Fingerprint] = [:]

    /// Of several paths, in their order.
    func of(_ paths: [String]) throws -> Fingerprint {
        let all = try paths.map { try of($0) }
        return all.count == 1 ? all[0] : Fingerprint(hashing: all.map { Array($0.hex.utf8) })
    }

    func of(_ path: String) throws -> Fingerprint {
        if let known = known[path] { return known }
        let fingerprint: Fingerprint
        var isFolder: ObjCBool = false
        _ = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        if !isFolder.boolValue {
            fingerprint = try Fingerprint(ofFile: path)
        } else if FileManager.default.fileExists(atPath: "\(path)/\(ModelConfiguration.file)") {
            fingerprint = try Checkpoint(path).fingerprint()
        } else {
            fingerprint = try ofFiles(in: path)
        }
        known[path] = fingerprint
        return fingerprint
    }

    /// What stands there is no longer what it was.
    func forget(_ path: String) { known[path] = nil }

    private func ofFiles(in folder: String) throws -> Fingerprint {
        let names = try FileManager.default.subpathsOfDirectory(atPath: folder).sorted()
        var fields: [[UInt8]] = []
        for name in names {
            var isFolder: ObjCBool = false
            let path = "\(folder)/\(name)"
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder),
                !isFolder.boolValue
            else { continue }
            fields += [Array(name.utf8), Array(try Fingerprint(ofFile: path).hex.utf8)]
        }
        return Fingerprint(hashing: fields)
    }
}
