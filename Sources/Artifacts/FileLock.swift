import Glibc

/// An advisory lock between processes, held until the value is released; a process that ends, however
/// it ends, lets go of it.
package final class FileLock {
    private let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// - Returns: `nil` where another holder has it.
    package static func attempt(_ path: String) throws(CheckpointError) -> FileLock? {
        try taken(path, LOCK_EX | LOCK_NB)
    }

    /// Waits for the lock, however long that takes.
    package static func wait(_ path: String) throws(CheckpointError) -> FileLock {
        guard let lock = try taken(path, LOCK_EX) else {
            preconditionFailure("a lock that is waited for is had")
        }
        return lock
    }

    /// Waits for the lock; `tick` is called ten times a second meanwhile, and what it throws ends the wait.
    package static func wait(_ path: String, tick: () throws -> Void) throws -> FileLock {
        while true {
            if let lock = try attempt(path) { return lock }
            try tick()
            usleep(100_000)
        }
    }

    private static func taken(
        _ path: String, _ operation: Int32
    ) throws(CheckpointError) -> FileLock? {
        let descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw .unwritable(file: path, .latest) }
        let lock = FileLock(descriptor)
        while flock(descriptor, operation) != 0 {
            if errno == EWOULDBLOCK { return nil }
            guard errno == EINTR else { throw .unwritable(file: path, .latest) }
        }
        return lock
    }
}
