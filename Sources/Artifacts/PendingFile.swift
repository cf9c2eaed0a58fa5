import Glibc

/// A file that is being written under a temporary name beside its destination.
///
/// The destination is the old file until `commit`, and the whole new one after it. Without a commit
/// the temporary is removed; one that a killed process left is taken over by the next writer.
final class PendingFile {
    let path: String
    private let temporary: String
    private var descriptor: Int32?

    init(for path: String) throws(CheckpointError) {
        self.path = path
        let (folder, name) = Self.split(path)
        temporary = "\(folder)/.\(name).partial"
        descriptor = try Self.claim(temporary, for: path)
    }

    deinit { abandon() }

    /// Sets the size and takes the disk space at once, so that a full disk is found before the work
    /// of filling the file.
    func reserve(_ bytes: Int) throws(CheckpointError) {
        guard let descriptor, bytes > 0 else { return }
        // glibc writes to every block where the file system cannot reserve.
        let fault = posix_fallocate(descriptor, 0, bytes)
        guard fault == 0 else { throw fail(SystemFault(code: fault)) }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(CheckpointError) {
        guard let descriptor else { preconditionFailure("\(path) is written to after its end") }
        var written = 0
        while written < bytes.count, let base = bytes.baseAddress {
            let count = pwrite(descriptor, base + written, bytes.count - written, offset + written)
            if count < 0 {
                if errno == EINTR { continue }
                throw fail()
            }
            written += count
        }
    }

    /// Makes the new contents durable under the destination's name.
    func commit() throws(CheckpointError) {
        guard let descriptor else { preconditionFailure("\(path) is committed twice") }
        guard fsync(descriptor) == 0, rename(temporary, path) == 0 else { throw fail() }
        close(descriptor)
        self.descriptor = nil
        try Self.synchronizeFolder(Self.split(path).folder)
    }

    /// Makes the names in a folder durable.
    static func synchronizeFolder(_ folder: String) throws(CheckpointError) {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unwritable(file: folder, .latest) }
        defer { close(descriptor) }
        // EINVAL: the file system does not synchronise folders.
        guard fsync(descriptor) == 0 || errno == EINVAL else {
            throw .unwritable(file: folder, .latest)
        }
    }

    private func fail(_ fault: SystemFault = .latest) -> CheckpointError {
        abandon()
        return .unwritable(file: path, fault)
    }

    private func abandon() {
        guard let descriptor else { return }
        unlink(temporary)
        close(descriptor)
        self.descriptor = nil
    }

    /// Opens the temporary, empty and locked against other writers of the same destination.
    private static func claim(
        _ temporary: String, for path: String
    ) throws(CheckpointError) -> Int32 {
        while true {
            let descriptor = open(temporary, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
            guard descriptor >= 0 else { throw .unwritable(file: path, .latest) }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                let fault = errno == EWOULDBLOCK ? SystemFault(code: EBUSY) : .latest
                close(descriptor)
                throw .unwritable(file: path, fault)
            }
            // Another writer may have renamed or removed the file between `open` and `flock`: then
            // this descriptor is not the temporary's any more.
            var opened = stat()
            var named = stat()
            if fstat(descriptor, &opened) == 0, stat(temporary, &named) == 0,
                opened.st_ino == named.st_ino, opened.st_dev == named.st_dev
            {
                guard ftruncate(descriptor, 0) == 0 else {
                    let fault = SystemFault.latest
                    unlink(temporary)
                    close(descriptor)
                    throw .unwritable(file: path, fault)
                }
                return descriptor
            }
            close(descriptor)
        }
    }

    /// A path without its last component, and that component.
    static func split(_ path: String) -> (folder: String, name: String) {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let folder = String(path[..<slash])
        return (folder.isEmpty ? "/" : folder, String(path[path.index(after: slash)...]))
    }
}
