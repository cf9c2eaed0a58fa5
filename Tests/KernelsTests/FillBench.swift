import SimulatedCUDA
import Testing

@testable import Kernels

enum TestDevice: CustomTestStringConvertible {
    case simulated, gpu

    var testDescription: String { self == .gpu ? "GPU 0" : "simulated" }
}

/// A device with a stream and the kernel that fills a vector.
struct FillBench {
    let device: CUDADevice
    let stream: CUDAStream
    let module: KernelModule
    let fill: Kernel

    init(_ kind: TestDevice) throws {
        let compiled: CompiledKernel
        switch kind {
        case .simulated:
            device = try CUDADevice(0, driver: Self.simulated)
            compiled = CompiledKernel(
                name: "fill", architecture: device.architecture,
                image: Array("\u{7f}ELF".utf8), origin: .cache)
        case .gpu:
            device = try CUDADevice.open(0)
            compiled = try KernelCompiler().compile(.fill, for: device.architecture)
        }
        stream = try CUDAStream(on: device)
        module = try KernelModule(compiled, on: device)
        fill = try module.kernel("fill")
    }

    static var simulated: Driver { Driver(functions: simulated_driver()) }

    func launch(_ value: Float, _ memory: DeviceMemory, dependent: Bool = false) throws {
        let count = memory.bytes / MemoryLayout<Float>.stride
        try fill.launch(
            grid: (7, 1, 1), block: 128,
            arguments: KernelArguments(memory.address, value, Int64(count)), on: stream,
            dependent: dependent)
    }

    func values(_ memory: DeviceMemory) throws -> [Float] {
        var values = [Float](repeating: -1, count: memory.bytes / MemoryLayout<Float>.stride)
        try values.withUnsafeMutableBytes { try stream.copy(from: memory.address, to: $0) }
        try stream.synchronize()
        return values
    }
}
