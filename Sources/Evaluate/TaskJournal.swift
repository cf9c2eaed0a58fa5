import Artifacts
import Foundation
import Text

/// The answers of a run as they come: kept in memory and, where a file is asked for, on disk, so that a run that
/// is killed goes on where it was.
///
/// They are appended to `FILE.unfinished`, whose first line says what gave them; `finish` writes FILE whole.
package final class TaskJournal {
    /// What answers depend on beside the question itself.
    package struct Settings: Codable, Equatable, Sendable {
        /// Fingerprints of the model and, where there is one, of the reference.
        let checkpoints: [String]
        /// Their folders, which answers are recorded under.
        let folders: [String]
        let elementType: String
        let device: String

        private enum CodingKeys: String, CodingKey {
            case checkpoints, folders, device
            case elementType = "dtype"
        }

        package init(_ stage: TaskStage) throws {
            folders = [stage.model] + (stage.reference.map { [$0] } ?? [])
            checkpoints = try folders.map { try Checkpoint($0).fingerprint().description }
            elementType = stage.elementType.rawValue
            device = stage.device.description
        }
    }

    private struct Key: Hashable {
        let model: String
        let task: String
        let document: Int
    }

    /// Where all answers go in the end, and what gives them; nil in memory.
    private let target: (file: String, settings: Settings)?
    private var unfinished: FileHandle?
    private var goesOn = false
    private var known: [Key: TaskItem] = [:]
    /// Answers of this run, those that were known included, in the order of its tasks.
    package private(set) var items: [TaskItem] = []

    /// Keeps answers in memory only.
    package init() { target = nil }

    /// Goes on with what an earlier run with the same settings left beside `file`. Nothing is written before
    /// there is an answer.
    /// - Parameter startsOver: whether to forget what another run left.
    package init(_ file: String, _ settings: Settings, startsOver: Bool) throws {
        target = (file, settings)
        let path = Self.unfinishedPath(file)
        if FileManager.default.fileExists(atPath: path), !startsOver {
            try read(path, settings)
            goesOn = true
        }
    }

    /// The unfinished file, locked against other runs.
    private func open(_ file: String, _ settings: Settings) throws -> FileHandle {
        if let unfinished { return unfinished }
        let path = Self.unfinishedPath(file)
        if !goesOn { try AtomicFile.write(try Self.line(settings), to: path) }
        guard let handle = FileHandle(forUpdatingAtPath: path) else {
            throw JournalError.unwritable(file: path)
        }
        guard flock(handle.fileDescriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw JournalError.inUse(file: path)
        }
        try handle.seekToEnd()
        unfinished = handle
        return handle
    }

    private static func unfinishedPath(_ file: String) -> String { file + ".unfinished" }

    /// Takes over the whole lines of an unfinished file; what a killed process cut is removed.
    private func read(_ path: String, _ settings: Settings) throws {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let end = bytes.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        let lines = bytes[..<end].split(separator: 0x0A)
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        do {
            guard let first = lines.first,
                try decoder.decode(Settings.self, from: first) == settings
            else { throw JournalError.otherRun(file: path) }
            for line in lines.dropFirst() {
                let item = try decoder.decode(TaskItem.self, from: line)
                known[Key(model: item.model, task: item.task, document: item.document)] = item
            }
        } catch is DecodingError {
            throw JournalError.otherRun(file: path)
        }
        if end < bytes.count {
            try AtomicFile.write(bytes[..<end], to: path)
        }
    }

    // MARK: Answers

    /// What is known of these documents, if it is all of them and their questions are still the same.
    func items(
        _ model: String, _ part: TaskQuestions.Part, _ documents: Range<Int>
    ) -> [TaskItem]? {
        let found = documents.compactMap { document in
            known[Key(model: model, task: part.name, document: document)].flatMap {
                $0.question == part.queries[document].hash ? $0 : nil
            }
        }
        guard found.count == documents.count else { return nil }
        items += found
        return found
    }

    func record(_ new: [TaskItem]) throws {
        items += new
        guard let target else { return }
        let handle = try open(target.file, target.settings)
        try handle.write(contentsOf: Data(try new.flatMap(Self.line)))
        try handle.synchronize()
    }

    /// Writes all answers to the file.
    package func finish() throws {
        guard let target else { return }
        try AtomicFile.write(try items.flatMap(Self.line), to: target.file)
        try FileManager.default.removeItem(atPath: Self.unfinishedPath(target.file))
        try unfinished?.close()
        unfinished = nil
    }

    private static func line(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        return Array(try encoder.encode(value)) + [0x0A]
    }
}

package enum JournalError: Error, CustomStringConvertible {
    case otherRun(file: String)
    case unwritable(file: String)
    case inUse(file: String)

    package var description: String {
        switch self {
        case .otherRun(let file):
            "\(file): left by a run with another checkpoint or other settings; remove it or pass --overwrite"
        case .unwritable(let file): "\(file): cannot be written"
        case .inUse(let file): "\(file): another run is writing it"
        }
    }
}
