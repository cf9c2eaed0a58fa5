import CCUDA

/// A function that a GPU runs.
package final class Kernel {
    package let name: String
    /// Of each thread.
    package let registers: Int
    /// Bytes of each thread that did not fit into registers: 0 in a kernel that is fast.
    package let localMemory: Int
    private let module: KernelModule
    private let handle: CUfunction
    /// Bytes of each parameter; `nil` where the driver is too old to say (before CUDA 12.4).
    private let parameterSizes: [Int]?

    init(
        _ name: String, _ handle: CUfunction, in module: KernelModule, sharedMemory: Int
    ) throws(CUDAError) {
        self.name = name
        self.handle = handle
        self.module = module
        let device = module.device
        registers = try Self.attribute(CU_FUNC_ATTRIBUTE_NUM_REGS, handle, device)
        localMemory = try Self.attribute(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, handle, device)
        parameterSizes = try Self.parameterSizes(handle, device)
        if sharedMemory > 0 {
            try device.call("cuFuncSetAttribute") {
                $0.pointee.cuFuncSetAttribute(
                    handle, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, Int32(sharedMemory))
            }
        }
    }

    /// Queues the kernel on `stream`.
    ///
    /// - Parameters:
    ///   - grid: blocks.
    ///   - block: threads of a block.
    ///   - sharedMemory: bytes of a block, beyond what the kernel declares.
    ///   - dependent: the kernel may start while the one before it on the stream is still running, and
    ///     itself waits where it needs that one's results (programmatic dependent launch, compute
    ///     capability 9.0; `griddepcontrol.wait`).
    package func launch(
        grid: (Int, Int, Int), block: Int, sharedMemory: Int = 0, arguments: KernelArguments,
        on stream: CUDAStream, dependent: Bool = false
    ) throws(CUDAError) {
        if let parameterSizes {
            precondition(
                arguments.sizes == parameterSizes,
                "\(name) takes \(parameterSizes) bytes and is given \(arguments.sizes)")
        }
        var attributes: [CUlaunchAttribute] = []
        if dependent {
            var attribute = CUlaunchAttribute()
            attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
            attribute.value.programmaticStreamSerializationAllowed = 1
            attributes.append(attribute)
        }
        var config = CUlaunchConfig()
        (config.gridDimX, config.gridDimY, config.gridDimZ) = (
            UInt32(grid.0), UInt32(grid.1), UInt32(grid.2)
        )
        (config.blockDimX, config.blockDimY, config.blockDimZ) = (UInt32(block), 1, 1)
        config.sharedMemBytes = UInt32(sharedMemory)
        config.hStream = stream.handle
        config.numAttrs = UInt32(attributes.count)
        try module.device.call("launch of \(name)") { functions in
            attributes.withUnsafeMutableBufferPointer { attributes in
                config.attrs = attributes.baseAddress
                return arguments.withPointers {
                    functions.pointee.cuLaunchKernelEx(&config, handle, $0, nil)
                }
            }
        }
    }

    /// Blocks of `block` threads that run on a multiprocessor at once.
    package func blocksPerMultiprocessor(
        block: Int, sharedMemory: Int = 0
    ) throws(CUDAError) -> Int {
        var blocks: Int32 = 0
        try module.device.call("cuOccupancyMaxActiveBlocksPerMultiprocessor") {
            $0.pointee.cuOccupancyMaxActiveBlocksPerMultiprocessor(
                &blocks, handle, Int32(block), sharedMemory)
        }
        return Int(blocks)
    }

    private static func attribute(
        _ attribute: Int32, _ handle: CUfunction, _ device: CUDADevice
    ) throws(CUDAError) -> Int {
        var value: Int32 = 0
        try device.call("cuFuncGetAttribute") {
            $0.pointee.cuFuncGetAttribute(&value, attribute, handle)
        }
        return Int(value)
    }

    private static func parameterSizes(
        _ handle: CUfunction, _ device: CUDADevice
    ) throws(CUDAError) -> [Int]? {
        guard device.knowsParameters else { return nil }
        var sizes: [Int] = []
        while true {
            var (offset, bytes) = (0, 0)
            var isPast = false
            try device.call("cuFuncGetParamInfo") { functions in
                let code = functions.pointee.cuFuncGetParamInfo?(
                    handle, sizes.count, &offset, &bytes)
                isPast = code == CUDA_ERROR_INVALID_VALUE
                return isPast ? CUDA_SUCCESS : code ?? CUDA_SUCCESS
            }
            if isPast { return sizes }
            sizes.append(bytes)
        }
    }
}
