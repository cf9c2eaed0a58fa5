import Testing

@testable import Kernels

/// On a GPU: what is computed there is what comes back.
@Suite("CUDADevice", .enabled(if: TestMachine.hasDevice, "no GPU"))
struct DeviceTests {
    private let device: CUDADevice
    private let stream: CUDAStream
    private let fill: Kernel

    init() throws {
        device = try CUDADevice.open(0)
        stream = try CUDAStream(on: device)
        let compiled = try KernelCompiler().compile(.fill, for: device.architecture)
        fill = try KernelModule(compiled, on: device).kernel("fill")
    }

    private func launch(_ value: Float, _ memory: DeviceMemory, dependent: Bool = false) throws {
        let count = memory.bytes / MemoryLayout<Float>.stride
        try fill.launch(
            grid: (7, 1, 1), block: 128,
            arguments: KernelArguments(memory.address, value, Int64(count)), on: stream,
            dependent: dependent)
    }

    private func values(_ memory: DeviceMemory) throws -> [Float] {
        var values = [Float](repeating: -1, count: memory.bytes / MemoryLayout<Float>.stride)
        try values.withUnsafeMutableBytes { try stream.copy(from: memory.address, to: $0) }
        try stream.synchronize()
        return values
    }

    @Test("facts of the device")
    func facts() throws {
        let (free, total) = try device.memory()
        #expect(!device.name.isEmpty)
        #expect(device.computeCapability.major >= 8)
        #expect(device.multiprocessors > 0)
        #expect(device.sharedMemoryPerBlock >= 96 << 10)
        #expect(free > 0 && free <= total)
        #expect(fill.registers > 0 && fill.localMemory == 0)
        #expect(try fill.blocksPerMultiprocessor(block: 128) > 0)
    }

    @Test("a kernel writes all of a buffer", arguments: [1, 1_000, 100_003])
    func launches(count: Int) throws {
        let memory = try DeviceMemory(bytes: count * 4, on: device)
        try stream.fill(memory.address, with: 0, count: memory.bytes)
        #expect(try values(memory).allSatisfy { $0 == 0 })
        try launch(2.5, memory)
        #expect(try values(memory).allSatisfy { $0 == 2.5 })
    }

    @Test("bytes go there and come back, through pinned memory too")
    func copies() throws {
        let memory = try DeviceMemory(bytes: 4_096, on: device)
        let pinned = try PinnedMemory(bytes: 4_096, on: device)
        let sent = (0..<4_096).map { UInt8(truncatingIfNeeded: $0 * 7) }
        try sent.withUnsafeBytes { try stream.copy($0, to: memory.address) }
        try stream.copy(from: memory.address, to: pinned.bytes)
        try stream.synchronize()
        #expect(Array(pinned.bytes) == sent)
    }

    @Test("a captured graph runs when it is launched, and again")
    func replays() throws {
        let memory = try DeviceMemory(bytes: 4_000, on: device)
        try launch(1, memory)
        let graph = try stream.capture {
            try launch(2, memory)
            try launch(3, memory, dependent: device.computeCapability.major >= 9)
        }
        #expect(graph.nodes == 2)
        #expect(try values(memory).allSatisfy { $0 == 1 })
        for _ in 0..<2 {
            try launch(1, memory)
            try graph.launch(on: stream)
            #expect(try values(memory).allSatisfy { $0 == 3 })
        }
    }

    @Test("a capture that fails leaves the stream as it was")
    func failedCapture() throws {
        struct Stop: Error {}
        let memory = try DeviceMemory(bytes: 4_000, on: device)
        #expect(throws: Stop.self) {
            _ = try stream.capture {
                try launch(2, memory)
                throw Stop()
            }
        }
        try launch(4, memory)
        #expect(try values(memory).allSatisfy { $0 == 4 })
    }

    @Test("events measure time")
    func times() throws {
        let memory = try DeviceMemory(bytes: 64 << 20, on: device)
        let (start, end) = (try CUDAEvent(on: device), try CUDAEvent(on: device))
        try start.record(on: stream)
        try launch(1, memory)
        try end.record(on: stream)
        try end.synchronize()
        #expect(try end.milliseconds(since: start) > 0)
    }

    @Test("too much memory: the error says how much was asked for and how much is free")
    func outOfMemory() throws {
        let (_, total) = try device.memory()
        let error = #expect(throws: CUDAError.self) {
            _ = try DeviceMemory(bytes: total + (1 << 30), on: device)
        }
        guard case .outOfMemory(total + (1 << 30), _, total) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("a function that is not there is named")
    func missingFunction() throws {
        let compiled = try KernelCompiler().compile(.fill, for: device.architecture)
        let module = try KernelModule(compiled, on: device)
        #expect(throws: CUDAError.missingFunction("empty", kernel: "fill")) {
            _ = try module.kernel("empty")
        }
    }
}
