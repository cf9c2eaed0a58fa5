import CTorch

/// Settings and facts of the libtorch that this process runs on.
package enum TorchRuntime {
    /// Version of the libtorch that the shim was compiled for, as in `2.13.0`.
    package static var version: String { String(cString: ct_torch_version()) }

    /// CPU threads that one operation may use.
    package static var threads: Int {
        get {
            var count: Int32 = 1
            TorchCall.query("threads") { ct_threads(&count) }
            return Int(count)
        }
        set { TorchCall.query("threads") { ct_set_threads(Int32(clamping: newValue)) } }
    }

    /// CUDA devices that libtorch can use; 0 with a CPU build or without a driver.
    package static var cudaDeviceCount: Int {
        var count: Int32 = 0
        // A CUDA build on a host without a driver may report its absence as an error: no device.
        guard ct_device_count(CT_CUDA, &count) == Int32(CT_OK) else { return 0 }
        return Int(count)
    }

    /// Waits until `device` has finished all work that was queued on it.
    package static func synchronize(_ device: Device) throws(TensorError) {
        try TorchCall.run("synchronize", []) { _ in ct_synchronize(device.kind, device.index) }
    }

    /// Most bytes that libtorch has held on a CUDA device so far; 0 for the CPU.
    package static func peakMemory(on device: Device) throws(TensorError) -> Int {
        var bytes: Int64 = 0
        try TorchCall.run("peakMemory", []) { _ in
            ct_peak_memory(device.kind, device.index, &bytes)
        }
        return Int(bytes)
    }

    /// Bytes of a CUDA device that no process has taken; 0 for the CPU, whose memory libtorch does not know.
    package static func freeMemory(on device: Device) throws(TensorError) -> Int {
        var bytes: Int64 = 0
        try TorchCall.run("freeMemory", []) { _ in
            ct_free_memory(device.kind, device.index, &bytes)
        }
        return Int(bytes)
    }

    /// Lets the allocator keep what is freed for reuse, up to 1 GiB: worth 5–20% of a forward pass on a
    /// CPU, whose tensors come and go in the same few sizes. Not for work near a memory limit.
    package static func keepFreedMemory() {
        TorchCall.query("keepFreedMemory") { ct_keep_freed_memory() }
    }

    /// Returns large blocks to the system as soon as they are freed: for work whose peak memory matters
    /// more than a few per cent of its time.
    package static func returnFreedMemory() {
        TorchCall.query("returnFreedMemory") { ct_return_freed_memory() }
    }

    /// Gives memory that the allocator keeps for reuse back to the system.
    package static func releaseUnusedMemory() {
        TorchCall.query("releaseUnusedMemory") { ct_release_unused_memory() }
    }
}
