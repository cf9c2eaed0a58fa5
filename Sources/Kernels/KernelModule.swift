import CCUDA

/// Compiled kernels that are loaded into a device.
package final class KernelModule {
    package let name: String
    let device: CUDADevice
    private let handle: CUmodule

    package init(_ kernel: CompiledKernel, on device: CUDADevice) throws(CUDAError) {
        var handle: CUmodule?
        do throws(CUDAError) {
            try device.call("cuModuleLoadData") { functions in
                kernel.image.withUnsafeBytes { image in
                    // An image always has bytes; a driver that is handed none says that it is invalid.
                    guard let base = image.baseAddress else { return CUDA_ERROR_INVALID_VALUE }
                    return functions.pointee.cuModuleLoadData(&handle, base)
                }
            }
        } catch {
            let (major, minor) = try device.driverVersion()
            throw .loading(
                kernel: kernel.name, architecture: kernel.architecture,
                reason: "\(error); the driver is one for CUDA \(major).\(minor)")
        }
        guard let handle else { preconditionFailure("a module that was loaded is there") }
        name = kernel.name
        self.device = device
        self.handle = handle
    }

    deinit { device.release { $0.pointee.cuModuleUnload(handle) } }

    /// - Parameters:
    ///   - function: declared `extern "C" __global__`.
    ///   - sharedMemory: the most bytes that a launch will ask for, beyond what the kernel declares.
    package func kernel(
        _ function: String, sharedMemory: Int = 0
    ) throws(CUDAError) -> Kernel {
        var found: CUfunction?
        do throws(CUDAError) {
            try device.call("cuModuleGetFunction") {
                $0.pointee.cuModuleGetFunction(&found, handle, function)
            }
        } catch {
            guard case .failed(_, CUDA_ERROR_NOT_FOUND, _) = error else { throw error }
            throw .missingFunction(function, kernel: name)
        }
        guard let found else { preconditionFailure("a function that was found is there") }
        return try Kernel(function, found, in: self, sharedMemory: sharedMemory)
    }
}
