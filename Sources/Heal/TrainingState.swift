// What a training needs to go on, in the folder of its run: the newest state and the one before it, each two
// files. The tensors come first and then, once they are durable, the record with their checksum; so a record
// stands for a whole state, and one whose tensors have been damaged is told by its checksum.
import Artifacts
import Foundation
import TensorNetworks
import Tensors

package struct TrainingStates {
    let folder: String

    package init(folder: String) { self.folder = folder }

    /// What is known after some steps, beside the tensors.
    struct Record: Codable {
        static let currentVersion = 1
        let version: Int
        let steps: Int
        /// Of training so far, in all runs.
        let seconds: Double
        /// Of the file of tensors.
        let checksum: Fingerprint
        let curve: [HealReport.Point]
    }

    private static let prefix = "state-"

    private func path(_ steps: Int, _ suffix: String) -> String {
        "\(folder)/\(Self.prefix)\(steps).\(suffix)"
    }

    /// Keeps a state, and forgets all but the one before it.
    func save(
        _ tensors: [NamedTensor], steps: Int, seconds: Double, curve: [HealReport.Point]
    ) throws {
        let file = path(steps, "safetensors")
        let older = try known().filter { $0 != steps }
        let writer = try SafetensorsWriter(
            file, declaring: tensors.map { TensorInfo(name: $0.name, of: $0.tensor) })
        for (name, tensor) in tensors {
            try writer.write(tensor.detached().moved(to: .cpu), named: name)
        }
        try writer.finish()
        let record = Record(
            version: Record.currentVersion, steps: steps, seconds: seconds,
            checksum: try Fingerprint(ofFile: file), curve: curve)
        try AtomicFile.write(StrictJSON.encode(record), to: path(steps, "json"))
        for steps in older.dropLast() { try remove(steps) }
    }

    /// The newest state that is whole.
    /// - Parameter complain: told of every state that is not.
    /// - Returns: `nil` where none was ever kept.
    func newest(complain: (String) throws -> Void) throws -> (Record, SafetensorsFile)? {
        let known = try known()
        for steps in known.reversed() {
            do {
                let record = try read(steps)
                return (record, try SafetensorsFile(path(steps, "safetensors")))
            } catch let error as CheckpointError {
                try complain("the state after step \(steps) cannot be used: \(error)")
                try remove(steps)
            }
        }
        guard known.isEmpty else { throw HealError.noState(folder: folder) }
        return nil
    }

    private func read(_ steps: Int) throws -> Record {
        let (record, tensors) = (path(steps, "json"), path(steps, "safetensors"))
        guard let contents = FileManager.default.contents(atPath: record) else {
            throw CheckpointError.unreadable(file: record, .latest)
        }
        let found = try StrictJSON.decode(Record.self, from: Array(contents), of: record)
        guard found.version == Record.currentVersion, found.steps == steps else {
            throw CheckpointError.manifest(file: record, reason: "is of another state")
        }
        guard try Fingerprint(ofFile: tensors) == found.checksum else {
            throw CheckpointError.manifest(
                file: tensors, reason: "its checksum is not the one that was written")
        }
        return found
    }

    /// Steps after which a state was kept, ascending.
    private func known() throws -> [Int] {
        try FileManager.default.contentsOfDirectory(atPath: folder).compactMap { name in
            guard name.hasPrefix(Self.prefix), name.hasSuffix(".json") else { return nil }
            return Int(name.dropFirst(Self.prefix.count).dropLast(".json".count))
        }.sorted()
    }

    /// The record first: without it the tensors are nobody's.
    private func remove(_ steps: Int) throws {
        for suffix in ["json", "safetensors"] {
            let file = path(steps, suffix)
            guard FileManager.default.fileExists(atPath: file) else { continue }
            try FileManager.default.removeItem(atPath: file)
        }
    }
}
