import CCUDA

/// A point in a stream that can be waited for, and whose time is known.
package final class CUDAEvent {
    private let device: CUDADevice
    private let handle: CUevent

    package init(on device: CUDADevice) throws(CUDAError) {
        var handle: CUevent?
        try device.call("cuEventCreate") { $0.pointee.cuEventCreate(&handle, 0) }
        guard let handle else { preconditionFailure("an event that was created is there") }
        self.device = device
        self.handle = handle
    }

    deinit { device.release { $0.pointee.cuEventDestroy(handle) } }

    /// Puts the event behind all that is queued on `stream` so far.
    package func record(on stream: CUDAStream) throws(CUDAError) {
        try device.call("cuEventRecord") { $0.pointee.cuEventRecord(handle, stream.handle) }
    }

    /// Waits until `stream` has come to where the event was recorded.
    package func synchronize() throws(CUDAError) {
        try device.call("cuEventSynchronize") { $0.pointee.cuEventSynchronize(handle) }
    }

    /// From `start` to this event, with a resolution of about half a microsecond.
    ///
    /// - Throws: where one of the two was not recorded, or the GPU has not come to it yet.
    package func milliseconds(since start: CUDAEvent) throws(CUDAError) -> Double {
        var milliseconds: Float = 0
        try device.call("cuEventElapsedTime") {
            $0.pointee.cuEventElapsedTime(&milliseconds, start.handle, handle)
        }
        return Double(milliseconds)
    }
}
