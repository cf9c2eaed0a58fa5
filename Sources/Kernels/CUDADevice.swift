import CCUDA

/// A GPU, and its primary context, which is the one that libtorch computes in.
///
/// Everything made on a device keeps it. Any thread may use it, one at a time for each object: every
/// call makes the context current on the calling thread first, as libtorch does with its own calls.
package final class CUDADevice {
    package let ordinal: Int
    package let name: String
    package let computeCapability: (major: Int, minor: Int)
    package let multiprocessors: Int
    /// Bytes of shared memory that a block can have at most, when a kernel asks for them.
    package let sharedMemoryPerBlock: Int
    private let driver: Driver
    private let handle: CUdevice
    private let context: CUcontext

    /// Makes the device's primary context current on the calling thread.
    package static func open(_ ordinal: Int) throws(CUDAError) -> CUDADevice {
        try CUDADevice(ordinal, driver: Driver.shared.get())
    }

    init(_ ordinal: Int, driver: Driver) throws(CUDAError) {
        try driver.call("cuInit") { $0.pointee.cuInit(0) }
        var count: Int32 = 0
        try driver.call("cuDeviceGetCount") { $0.pointee.cuDeviceGetCount(&count) }
        guard (0..<Int(count)).contains(ordinal) else {
            throw .noDevice(ordinal: ordinal, count: Int(count))
        }
        var handle: CUdevice = 0
        try driver.call("cuDeviceGet") { $0.pointee.cuDeviceGet(&handle, Int32(ordinal)) }
        let name = try Self.name(of: handle, driver)
        let capability = (
            major: try Self.attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, handle, driver),
            minor: try Self.attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, handle, driver)
        )
        guard capability.major >= 8 else {
            throw .unsupportedDevice(
                name: name, major: capability.major, minor: capability.minor)
        }
        multiprocessors = try Self.attribute(
            CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, handle, driver)
        sharedMemoryPerBlock = try Self.attribute(
            CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, handle, driver)
        var context: CUcontext?
        try driver.call("cuDevicePrimaryCtxRetain") {
            $0.pointee.cuDevicePrimaryCtxRetain(&context, handle)
        }
        guard let context else { preconditionFailure("a retained context is there") }
        self.ordinal = ordinal
        self.name = name
        computeCapability = capability
        self.driver = driver
        self.handle = handle
        self.context = context
        try makeCurrent()
    }

    deinit { driver.release { $0.pointee.cuDevicePrimaryCtxRelease(handle) } }

    /// What NVRTC compiles for, as in `sm_90a`: with the features of this very generation where the
    /// kernels know of any.
    package var architecture: String {
        let (major, minor) = computeCapability
        return switch (major, minor) {
        case (9, 0), (10, 0): "sm_\(major)\(minor)a"
        default: "sm_\(major)\(minor)"
        }
    }

    /// Bytes of the GPU's memory, whoever has taken the rest.
    package func memory() throws(CUDAError) -> (free: Int, total: Int) {
        var free = 0
        var total = 0
        try call("cuMemGetInfo") { $0.pointee.cuMemGetInfo(&free, &total) }
        return (free, total)
    }

    /// The newest CUDA that the driver supports, as in 13.0; machine code of a newer one it refuses.
    package func driverVersion() throws(CUDAError) -> (major: Int, minor: Int) {
        var version: Int32 = 0
        try call("cuDriverGetVersion") { $0.pointee.cuDriverGetVersion(&version) }
        return (Int(version) / 1_000, Int(version) % 1_000 / 10)
    }

    /// Of the calling thread.
    package func makeCurrent() throws(CUDAError) {
        try driver.call("cuCtxSetCurrent") { $0.pointee.cuCtxSetCurrent(context) }
    }

    /// Runs `body` with the device's context.
    func call(
        _ function: String, _ body: (UnsafePointer<CCUDADriver>) -> CUresult
    ) throws(CUDAError) {
        try makeCurrent()
        try driver.call(function, body)
    }

    /// For the `deinit` of what was made in the device's context.
    func release(_ body: (UnsafePointer<CCUDADriver>) -> CUresult) {
        driver.release { $0.pointee.cuCtxSetCurrent(context) }
        driver.release(body)
    }

    var knowsParameters: Bool { driver.knowsParameters }

    private static func name(of device: CUdevice, _ driver: Driver) throws(CUDAError) -> String {
        var name = [CChar](repeating: 0, count: 256)
        try driver.call("cuDeviceGetName") {
            $0.pointee.cuDeviceGetName(&name, Int32(name.count), device)
        }
        return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static func attribute(
        _ attribute: Int32, _ device: CUdevice, _ driver: Driver
    ) throws(CUDAError) -> Int {
        var value: Int32 = 0
        try driver.call("cuDeviceGetAttribute") {
            $0.pointee.cuDeviceGetAttribute(&value, attribute, device)
        }
        return Int(value)
    }
}
