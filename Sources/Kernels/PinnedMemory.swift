import CCUDA

/// Bytes of the host's memory that are never paged out, so that a GPU copies them by itself while the
/// processor goes on.
package final class PinnedMemory {
    package let bytes: UnsafeMutableRawBufferPointer
    private let device: CUDADevice
    private let base: UnsafeMutableRawPointer

    /// What is in it is not known.
    package init(bytes count: Int, on device: CUDADevice) throws(CUDAError) {
        precondition(count > 0, "pinned memory of \(count) bytes")
        var base: UnsafeMutableRawPointer?
        try device.call("cuMemHostAlloc") { $0.pointee.cuMemHostAlloc(&base, count, 0) }
        guard let base else { preconditionFailure("pinned memory that was allocated is there") }
        self.base = base
        self.device = device
        bytes = UnsafeMutableRawBufferPointer(start: base, count: count)
    }

    deinit { device.release { $0.pointee.cuMemFreeHost(base) } }
}
