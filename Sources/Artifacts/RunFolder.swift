import FoundationEssentials
import Glibc

/// The folder of an unfinished run, `<output>.run`: what a killed run has finished, and a journal of what
/// it was asked for, so that it is continued by the same command and by no other.
package struct RunFolder {
    package let path: String

    /// Opens the folder beside `output`, or makes it.
    /// - Parameters:
    ///   - journal: a folder with another one is refused, by the first key that differs.
    ///   - restart: discard what is there.
    package init(
        for output: String, journal: [String: JSONValue], restart: Bool
    ) throws {
        path = Self.path(of: output)
        if restart { try Self.end(for: output) }
        if let found = try Self.journal(in: path) {
            for key in Set(found.keys).union(journal.keys).sorted()
            where found[key] != journal[key] {
                throw RunFolderError.otherRun(folder: path, difference: key)
            }
            return
        }
        guard mkdir(path, 0o777) == 0 || errno == EEXIST else {
            throw RunFolderError.folder(path, .latest)
        }
        // Only the first moments of a run leave a folder without a journal.
        guard
            try FileManager.default.contentsOfDirectory(atPath: path)
                .allSatisfy({ $0.hasPrefix(".") })
        else { throw RunFolderError.foreign(path) }
        try AtomicFile.write(StrictJSON.encode(journal), to: Self.journalPath(path))
    }

    /// Whether a run for `output` with this journal has not been ended.
    package static func isOpen(
        for output: String, journal: [String: JSONValue]
    ) throws -> Bool {
        try Self.journal(in: path(of: output)) == journal
    }

    /// Forgets the run: once its result is in place, or to begin anew.
    ///
    /// All at once, by a new name: a folder whose journal is removed before the rest would be taken for
    /// somebody else's.
    package static func end(for output: String) throws {
        let folder = path(of: output)
        let ended = folder + ".ended"
        let files = FileManager.default
        if files.fileExists(atPath: ended) { try files.removeItem(atPath: ended) }
        guard files.fileExists(atPath: folder) else { return }
        guard rename(folder, ended) == 0 else { throw RunFolderError.folder(folder, .latest) }
        try files.removeItem(atPath: ended)
    }

    private static func path(of output: String) -> String { output + ".run" }

    private static func journalPath(_ folder: String) -> String { "\(folder)/journal.json" }

    private static func journal(in folder: String) throws -> [String: JSONValue]? {
        guard let contents = FileManager.default.contents(atPath: journalPath(folder)) else {
            return nil
        }
        return try StrictJSON.decode(
            [String: JSONValue].self, from: Array(contents), of: journalPath(folder))
    }
}

package enum RunFolderError: Error, CustomStringConvertible {
    case otherRun(folder: String, difference: String)
    case foreign(String)
    case folder(String, SystemFault)

    package var description: String {
        switch self {
        case .otherRun(let folder, let difference):
            "\(folder) holds an unfinished run with another \(difference); continue that one with its own settings, or pass --restart to discard it"
        case .foreign(let folder):
            "\(folder) is not an unfinished run of this program; move it away or pass --restart to remove it"
        case .folder(let folder, let fault):
            "cannot write \(folder): \(fault)"
        }
    }
}
