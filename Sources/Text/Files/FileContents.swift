import Glibc

/// Why the operating system would not hand over a file.
struct FileFailure: Error {
    let cause: String
    let isMissing: Bool

    /// Captures `errno`; call it at once after the failing call.
    static func last(_ action: String) -> FileFailure {
        let code = errno
        return FileFailure(
            cause: "\(action): \(String(cString: strerror(code)))", isMissing: code == ENOENT)
    }
}

/// An open file descriptor that closes itself.
final class FileDescriptor {
    let raw: Int32

    init(reading path: String) throws(FileFailure) {
        raw = open(path, O_RDONLY | O_CLOEXEC)
        if raw < 0 { throw .last("cannot open") }
    }

    deinit { close(raw) }

    /// The kind and size of the file, from fstat.
    func status() throws(FileFailure) -> stat {
        var status = stat()
        if fstat(raw, &status) != 0 { throw .last("cannot stat") }
        return status
    }

    /// Reads up to `buffer.count` bytes; 0 only at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileFailure) -> Int {
        while true {
            let count = Glibc.read(raw, buffer.baseAddress, buffer.count)
            if count >= 0 { return count }
            if errno != EINTR { throw .last("cannot read") }
        }
    }
}

/// Whole small files, read with a limit so that a wrong path cannot take all the memory.
enum FileContents {
    /// - Parameter limit: bytes; a larger file is refused before anything is allocated.
    static func read(_ path: String, limit: Int) throws(FileFailure) -> [UInt8] {
        let file = try FileDescriptor(reading: path)
        let status = try file.status()
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw FileFailure(cause: "not a regular file", isMissing: false)
        }
        let size = Int(status.st_size)
        guard size <= limit else {
            throw FileFailure(cause: "\(size) bytes, at most \(limit) expected", isMissing: false)
        }
        var failure: FileFailure?
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
            filled = 0
            while filled < size {
                let rest = UnsafeMutableRawBufferPointer(
                    rebasing:
                        UnsafeMutableRawBufferPointer(buffer)[filled...])
                do throws(FileFailure) {
                    let count = try file.read(into: rest)
                    if count == 0 { break }
                    filled += count
                } catch {
                    failure = error
                    break
                }
            }
        }
        if let failure { throw failure }
        return bytes
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}
