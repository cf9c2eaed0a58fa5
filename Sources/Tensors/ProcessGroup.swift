// Processes that compute together, over the shim's c10d: gloo for tensors on CPUs, NCCL for those on GPUs. All of
// them make the same calls in the same order. A process that is alone makes them too, and they do nothing.
import CTorch
import Glibc
import Synchronization

package final class ProcessGroup {
    package let rank: Int
    package let size: Int
    private var group: OpaquePointer?

    /// Whether this process is the one that writes and tells.
    package var leads: Bool { rank == 0 }

    /// One process.
    package init() { (rank, size) = (0, 1) }

    /// Returns once all have come.
    /// - Parameters:
    ///   - device: that of the tensors beside those on the CPU.
    ///   - patience: seconds that others may take to come, and after which one that gives no sign of life is taken
    ///     for dead. What they wait for one another meanwhile, in whatever one of them does, has no bound.
    package init(
        _ place: ProcessPlace, on device: Device, patience: Double
    ) throws(ProcessGroupError) {
        (rank, size) = (place.rank, place.size)
        let serves = place.rank == 0 && !place.isStoreKept
        guard
            ct_use_device(device.kind, device.index) == Int32(CT_OK),
            ct_group_make(
                place.address, Int32(place.port), serves, "minima/\(place.attempt)",
                Int32(rank), Int32(size), device.kind, patience, Self.end, &group)
                == Int32(CT_OK)
        else { throw .meeting(place, Self.lastError) }
        Self.open.add(1, ordering: .relaxed)
    }

    deinit {
        if let group { ct_group_abandon(group) }
    }

    private static let open = Atomic<Int>(0)
    /// Whether a group was left before all had come to its end: then threads may still wait for a lost process, and
    /// this one must end without waiting for them.
    package static var isOpen: Bool { open.load(ordering: .relaxed) > 0 }

    /// For a thread that waits where it cannot be told.
    private static let end: ct_lost = { cause in
        let error = ProcessGroupError.lost(cause.map { String(cString: $0) } ?? "")
        let text = "minima: \(error)\n"
        _ = write(STDERR_FILENO, text, text.utf8.count)
        _exit(1)
    }

    private static var lastError: String {
        // c10d appends hints and its C++ stack in further lines.
        let text = String(cString: ct_last_error())
        return text.split(separator: "\n", maxSplits: 1).first.map(String.init) ?? text
    }

    // MARK: Tensors

    /// Sums over processes, of the shapes of `tensors`, which are float32 and on one device. They are views of a few
    /// large tensors that go over the network at once.
    package func summed(_ tensors: [Tensor]) throws -> [Tensor] {
        guard let group else { return tensors }
        return try joined(tensors) { raw in ct_group_sum_(group, raw) }
    }

    /// Overwrites all with what process 0 has; of one type and on one device.
    package func broadcast(_ tensors: [Tensor]) throws {
        guard let group else { return }
        let found = try joined(tensors) { raw in ct_group_broadcast_(group, raw, 0) }
        try withoutGradients {
            for (mine, theirs) in zip(tensors, found) { try mine.detached().assign(theirs) }
        }
    }

    /// Elements that go over the network at once, at least: 32 MB of float32 take milliseconds, and a call tens of
    /// microseconds.
    private static let pieceCount = 8 << 20

    private func joined(
        _ tensors: [Tensor], _ collective: (OpaquePointer?) -> Int32
    ) throws -> [Tensor] {
        var results: [Tensor] = []
        var start = 0
        while start < tensors.count {
            var (end, count) = (start, 0)
            while end < tensors.count, count < Self.pieceCount {
                count += tensors[end].count
                end += 1
            }
            let members = tensors[start..<end]
            try withoutGradients {
                // Always a copy: what autograd returns may stand in two places.
                let flat = try Tensor.concatenated(
                    members.map { try $0.detached().reshaped([$0.count]) }, along: 0)
                try run(flat, collective)
                var place = 0
                for member in members {
                    let next = place + member.count
                    results.append(
                        try flat.narrowed(0, place..<next).reshaped(member.shape))
                    place = next
                }
            }
            start = end
        }
        return results
    }

    private func run(
        _ tensor: Tensor, _ collective: (OpaquePointer?) -> Int32
    ) throws(ProcessGroupError) {
        let status = withExtendedLifetime(tensor) { collective(tensor.handle.raw) }
        guard status == Int32(CT_OK) else { throw .lost(Self.lastError) }
    }

    // MARK: Values

    /// Of each place, whether it is true in any process.
    package func any(_ values: [Bool]) throws -> [Bool] {
        guard group != nil else { return values }
        return try summed([Tensor(values.map { $0 ? 1 : 0 } as [Float])])[0]
            .elements(as: Float.self).map { $0 > 0 }
    }

    /// The bytes of process 0.
    package func shared(_ bytes: [UInt8]) throws -> [UInt8] {
        guard group != nil else { return bytes }
        let count = try Tensor([leads ? bytes.count : 0])
        try broadcast([count])
        let length = Int(try count.scalar())
        guard length > 0 else { return [] }
        let all = leads ? bytes : Array(repeating: 0, count: length)
        let tensor = try Tensor(all)
        try broadcast([tensor])
        return try tensor.elements(as: UInt8.self)
    }

    /// Runs `work` in process 0; all others wait for its end, and fail where it fails.
    /// - Returns: `nil` in all others.
    @discardableResult
    package func lead<Result>(_ work: () throws -> Result) throws -> Result? {
        guard leads else {
            let cause = try shared([])
            guard cause.isEmpty else {
                throw ProcessGroupError.leader(String(decoding: cause, as: UTF8.self))
            }
            return nil
        }
        let result: Result
        do {
            result = try work()
        } catch {
            let text = "\(error)"
            do {
                _ = try shared(Array((text.isEmpty ? "no cause is known" : text).utf8))
            } catch _ as ProcessGroupError {
                // What failed first is what is to be known.
            }
            throw error
        }
        _ = try shared([])
        return result
    }

    /// Waits until all have come here.
    package func meet() throws { _ = try any([false]) }

    /// Waits until all have come here, and ends the group.
    package func close() throws {
        guard let group else { return }
        guard ct_group_close(group) == Int32(CT_OK) else {
            throw ProcessGroupError.lost(Self.lastError)
        }
        self.group = nil
        Self.open.subtract(1, ordering: .relaxed)
    }
}

package enum ProcessGroupError: Error, CustomStringConvertible {
    case meeting(ProcessPlace, String)
    case lost(String)
    case leader(String)
    /// Another process was told to stop.
    case stopped
    case differs(what: String)

    package var description: String {
        switch self {
        case .meeting(let place, let cause):
            "process \(place.rank) of \(place.size) could not meet the others at \(place.address):\(place.port): \(cause)"
        case .lost(let cause):
            "the processes cannot go on together: \(cause). The same command, started again in every process, goes on from the last state that was kept"
        case .leader(let cause):
            "process 0 has ended: \(cause)"
        case .stopped:
            "another process was told to stop; the same command, started again in every process, goes on"
        case .differs(let what):
            "this process was started with another \(what) than process 0; all need the same settings, models and texts"
        }
    }
}
