import FoundationEssentials
import Glibc

/// The place of a result that may replace an older one.
package struct OutputFolder {
    package let path: String
    private var replaced: String { path + ".replaced" }

    /// - Throws: where there is a result already and it must not be replaced.
    package init(_ path: String, overwrite: Bool) throws(OutputError) {
        // A trailing slash would put the work beside the wrong name.
        self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        guard overwrite || !Self.isOccupied(self.path) else {
            throw OutputError.exists(path)
        }
    }

    package static func isOccupied(_ path: String) -> Bool {
        let contents = try? FileManager.default.contentsOfDirectory(atPath: path)
        return contents.map { !$0.isEmpty } ?? FileManager.default.fileExists(atPath: path)
    }

    /// Runs `write`, which puts the new result in place; the old one is moved away for it, and back
    /// where it fails.
    package func replace(_ write: () throws -> Void) throws {
        guard Self.isOccupied(path) else { return try write() }
        if FileManager.default.fileExists(atPath: replaced) {
            try FileManager.default.removeItem(atPath: replaced)
        }
        guard rename(path, replaced) == 0 else { throw OutputError.unwritable(path, .latest) }
        do {
            try write()
        } catch {
            _ = rename(replaced, path)
            throw error
        }
        try FileManager.default.removeItem(atPath: replaced)
    }
}

package enum OutputError: Error, CustomStringConvertible {
    case exists(String)
    case unwritable(String, SystemFault)

    package var description: String {
        switch self {
        case .exists(let folder):
            "\(folder) exists; choose another output or pass --overwrite"
        case .unwritable(let folder, let fault):
            "cannot write \(folder): \(fault)"
        }
    }
}
