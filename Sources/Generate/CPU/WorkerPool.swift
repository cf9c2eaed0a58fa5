import CDecode

/// Threads that share the work of a decode step.
final class WorkerPool {
    let raw: OpaquePointer

    init(threads: Int) {
        guard let raw = cd_pool_make(Int32(max(1, threads))) else {
            preconditionFailure("there is no memory for a pool of threads")
        }
        self.raw = raw
    }

    deinit { cd_pool_free(raw) }
}

/// Floats that one step after the other uses; their number only grows.
final class Scratch {
    private(set) var floats: UnsafeMutablePointer<Float>
    private var count: Int

    init(_ count: Int = 1) {
        self.count = max(1, count)
        floats = .allocate(capacity: self.count)
        floats.initialize(repeating: 0, count: self.count)
    }

    deinit { floats.deallocate() }

    /// Room for `count` values, which are not kept.
    func reserve(_ count: Int) -> UnsafeMutablePointer<Float> {
        if count > self.count {
            floats.deallocate()
            floats = .allocate(capacity: count)
            floats.initialize(repeating: 0, count: count)
            self.count = count
        }
        return floats
    }
}
