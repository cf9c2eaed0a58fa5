import CCUDA

/// Bytes of a GPU's memory, apart from libtorch's own allocator.
package final class DeviceMemory {
    /// As kernels take it; a multiple of 256.
    package let address: UInt64
    package let bytes: Int
    private let device: CUDADevice

    /// What is in it is not known.
    package init(bytes: Int, on device: CUDADevice) throws(CUDAError) {
        precondition(bytes > 0, "device memory of \(bytes) bytes")
        var address: CUdeviceptr = 0
        do throws(CUDAError) {
            try device.call("cuMemAlloc") { $0.pointee.cuMemAlloc(&address, bytes) }
        } catch {
            guard case .failed(_, CUDA_ERROR_OUT_OF_MEMORY, _) = error else { throw error }
            let (free, total) = try device.memory()
            throw .outOfMemory(requested: bytes, free: free, total: total)
        }
        self.address = address
        self.bytes = bytes
        self.device = device
    }

    /// The driver waits for kernels that may use the memory.
    deinit { device.release { $0.pointee.cuMemFree(address) } }
}
