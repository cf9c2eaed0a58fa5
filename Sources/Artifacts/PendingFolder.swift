import Glibc

/// A folder that is being filled under a temporary name beside its destination, and appears there
/// whole. Holds plain files only.
///
/// Without a commit the temporary is removed; one that a killed process left is emptied by the next
/// writer of the same destination.
final class PendingFolder {
    /// Where files are written until `commit`.
    let temporary: String
    private let path: String
    private var descriptor: Int32?

    /// - Throws: where `path` exists and is not an empty folder.
    init(for path: String) throws(CheckpointError) {
        let (parent, name) = PendingFile.split(path)
        self.path = "\(parent)/\(name)"
        temporary = "\(parent)/.\(name).partial"
        // An empty folder is replaced by the rename; anything else must not be lost.
        guard rmdir(path) == 0 || errno == ENOENT else { throw .unwritable(file: path, .latest) }
        guard mkdir(temporary, 0o777) == 0 || errno == EEXIST else {
            throw .unwritable(file: path, .latest)
        }
        let descriptor = open(temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw .unwritable(file: path, .latest) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let fault = errno == EWOULDBLOCK ? SystemFault(code: EBUSY) : .latest
            close(descriptor)
            throw .unwritable(file: path, fault)
        }
        self.descriptor = descriptor
        Self.empty(temporary)
    }

    deinit {
        guard let descriptor else { return }
        Self.empty(temporary)
        rmdir(temporary)
        close(descriptor)
    }

    /// Gives the folder its name, once every file in it is durable.
    func commit() throws(CheckpointError) {
        guard let descriptor else { preconditionFailure("\(path) is committed twice") }
        try PendingFile.synchronizeFolder(temporary)
        guard rename(temporary, path) == 0 else { throw .unwritable(file: path, .latest) }
        close(descriptor)
        self.descriptor = nil
        try PendingFile.synchronizeFolder(PendingFile.split(path).folder)
    }

    private static func empty(_ folder: String) {
        guard let listing = opendir(folder) else { return }
        defer { closedir(listing) }
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { unlink("\(folder)/\(name)") }
        }
    }
}
