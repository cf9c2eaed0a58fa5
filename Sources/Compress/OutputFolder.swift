import Artifacts
import Foundation
import Glibc

/// A folder that appears under its name only when it is complete.
final class OutputFolder {
    /// Where to write meanwhile.
    let path: String
    private let output: String
    private let overwrite: Bool
    private var isPublished = false

    /// - Parameter overwrite: replace what has the name already.
    init(_ output: String, overwrite: Bool) throws {
        guard overwrite || !FileManager.default.fileExists(atPath: output) else {
            throw CompressError.outputExists(output)
        }
        self.output = output
        self.overwrite = overwrite
        path = "\(output).writing-\(getpid())"
        guard mkdir(path, 0o777) == 0 else { throw CompressError.folder(path, .latest) }
    }

    /// Gives the folder its name.
    func publish() throws {
        try Self.rename(path, to: output, overwrite: overwrite)
        isPublished = true
    }

    deinit {
        if !isPublished { try? FileManager.default.removeItem(atPath: path) }
    }

    /// Renames a complete folder; one that it replaces is removed afterwards.
    static func rename(_ path: String, to output: String, overwrite: Bool) throws {
        let files = FileManager.default
        let replaced = output + ".replaced"
        if overwrite, files.fileExists(atPath: output) {
            if files.fileExists(atPath: replaced) { try files.removeItem(atPath: replaced) }
            guard Glibc.rename(output, replaced) == 0 else {
                throw CompressError.folder(replaced, .latest)
            }
        }
        guard Glibc.rename(path, output) == 0 else { throw CompressError.folder(output, .latest) }
        if files.fileExists(atPath: replaced) { try files.removeItem(atPath: replaced) }
    }
}
