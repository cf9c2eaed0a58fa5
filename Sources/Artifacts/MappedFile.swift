import Glibc

/// A file's bytes, mapped read-only; pages are read when they are touched.
///
/// The file must not be shortened while it is mapped: touching a page past its new end kills the
/// process. Minima replaces files by renaming, which leaves the mapped one as it was.
final class MappedFile: Sendable {
    let path: String
    nonisolated(unsafe) let bytes: UnsafeRawBufferPointer

    init(_ path: String) throws(CheckpointError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(file: path, .latest) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .unreadable(file: path, .latest) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            let isFolder = status.st_mode & S_IFMT == S_IFDIR
            throw .unreadable(file: path, SystemFault(code: isFolder ? EISDIR : EINVAL))
        }
        self.path = path
        guard status.st_size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        let address = mmap(nil, status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let address, address != MAP_FAILED else { throw .unreadable(file: path, .latest) }
        bytes = UnsafeRawBufferPointer(start: address, count: status.st_size)
    }

    deinit {
        if let address = bytes.baseAddress {
            munmap(UnsafeMutableRawPointer(mutating: address), bytes.count)
        }
    }

    /// Reads a whole small file.
    static func contents(_ path: String, limit: Int) throws(CheckpointError) -> [UInt8] {
        let file = try MappedFile(path)
        guard file.bytes.count <= limit else {
            throw .tooLarge(file: path, bytes: file.bytes.count, limit: limit)
        }
        return Array(file.bytes)
    }

    /// Lets the system take back the memory of the pages that hold `range`; they are read again if
    /// they are touched again.
    func release(_ range: Range<Int>) {
        advise(range, MADV_DONTNEED)
    }

    /// Announces that `range` is about to be read from front to back.
    func prefetch(_ range: Range<Int>) {
        advise(range, MADV_WILLNEED)
    }

    private func advise(_ range: Range<Int>, _ advice: Int32) {
        guard let base = bytes.baseAddress, !range.isEmpty else { return }
        precondition(range.upperBound <= bytes.count, "\(range) is outside the mapped file")
        let page = sysconf(Int32(_SC_PAGESIZE))
        let start = range.lowerBound / page * page
        // Advice only: a system that does not take it reads the same bytes.
        madvise(UnsafeMutableRawPointer(mutating: base + start), range.upperBound - start, advice)
    }
}
