import CCUDA

/// A queue of work for one device: what is queued runs in order, and the calls return at once.
///
/// Streams are made blocking (flags 0) with respect to the legacy default stream, on which libtorch
/// computes: work queued here starts after what libtorch has queued before, and the other way round,
/// so that neither needs to wait for the other by hand. While a stream captures, nothing may be queued
/// on the default stream: libtorch's operations fail then.
package final class CUDAStream {
    package let device: CUDADevice
    let handle: CUstream
    /// Whether it goes with this object.
    private let isOwned: Bool

    package init(on device: CUDADevice) throws(CUDAError) {
        var handle: CUstream?
        try device.call("cuStreamCreate") { $0.pointee.cuStreamCreate(&handle, 0) }
        guard let handle else { preconditionFailure("a stream that was created is there") }
        self.device = device
        self.handle = handle
        isOwned = true
    }

    private init(_ handle: CUstream, of device: CUDADevice) {
        (self.device, self.handle, isOwned) = (device, handle, false)
    }

    /// The legacy default stream, on which libtorch computes: what is queued here runs between what libtorch has queued
    /// before and what it queues behind, without a switch between streams.
    package static func ofLibtorch(on device: CUDADevice) -> CUDAStream {
        // CU_STREAM_LEGACY
        guard let handle = CUstream(bitPattern: 1) else {
            preconditionFailure("1 is not the null pointer")
        }
        return CUDAStream(handle, of: device)
    }

    deinit {
        if isOwned { device.release { $0.pointee.cuStreamDestroy(handle) } }
    }

    /// Waits until all that was queued is done; an error of a kernel comes to light here.
    package func synchronize() throws(CUDAError) {
        try device.call("cuStreamSynchronize") { $0.pointee.cuStreamSynchronize(handle) }
    }

    /// Plain memory is read before the call returns; pinned memory must stay as it is until the copy
    /// is done.
    package func copy(
        _ source: UnsafeRawBufferPointer, to destination: UInt64
    ) throws(CUDAError) {
        guard let base = source.baseAddress, source.count > 0 else { return }
        try device.call("cuMemcpyHtoDAsync") {
            $0.pointee.cuMemcpyHtoDAsync(destination, base, source.count, handle)
        }
    }

    /// Plain memory is written before the call returns; pinned memory when the stream has come to it.
    package func copy(
        from source: UInt64, to destination: UnsafeMutableRawBufferPointer
    ) throws(CUDAError) {
        guard let base = destination.baseAddress, destination.count > 0 else { return }
        try device.call("cuMemcpyDtoHAsync") {
            $0.pointee.cuMemcpyDtoHAsync(base, source, destination.count, handle)
        }
    }

    /// Writes `byte` to `count` bytes from `address` on.
    package func fill(_ address: UInt64, with byte: UInt8, count: Int) throws(CUDAError) {
        try device.call("cuMemsetD8Async") {
            $0.pointee.cuMemsetD8Async(address, byte, count, handle)
        }
    }

    /// Records what `body` queues on this stream instead of running it. The stream is as before
    /// afterwards, also where `body` throws.
    ///
    /// Addresses and values of arguments are recorded as they are: a replay reads what is there then.
    package func capture(_ body: () throws -> Void) throws -> CUDAGraph {
        // Relaxed: other threads, and allocations, are left alone.
        try device.call("cuStreamBeginCapture") {
            $0.pointee.cuStreamBeginCapture(handle, CU_STREAM_CAPTURE_MODE_RELAXED)
        }
        do {
            try body()
        } catch {
            var unfinished: CUgraph?
            device.release { $0.pointee.cuStreamEndCapture(handle, &unfinished) }
            if let unfinished { device.release { $0.pointee.cuGraphDestroy(unfinished) } }
            throw error
        }
        var graph: CUgraph?
        try device.call("cuStreamEndCapture") { $0.pointee.cuStreamEndCapture(handle, &graph) }
        guard let graph else { preconditionFailure("a capture that ended well has a graph") }
        defer { device.release { $0.pointee.cuGraphDestroy(graph) } }
        return try CUDAGraph(of: graph, on: device)
    }
}
