import Artifacts
import Glibc

/// An advisory lock between processes, held until the value is released; a process that ends, however
/// it ends, lets go of it.
final class FileLock {
    private let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// - Returns: `nil` where another holder has it.
    static func attempt(_ path: String) throws(CheckpointError) -> FileLock? {
        let descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw .unwritable(file: path, .latest) }
        let lock = FileLock(descriptor)
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EWOULDBLOCK { return nil }
            guard errno == EINTR else { throw .unwritable(file: path, .latest) }
        }
        return lock
    }

    /// Waits for the lock; `tick` is called ten times a second meanwhile, and what it throws ends the wait.
    static func wait(_ path: String, tick: () throws -> Void = {}) throws -> FileLock {
        while true {
            if let lock = try attempt(path) { return lock }
            try tick()
            usleep(100_000)
        }
    }
}
