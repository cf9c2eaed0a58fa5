import SimulatedCUDA
import Testing

@testable import Kernels

/// On a GPU, where there is one, and on the simulated driver: what is computed there comes back.
@Suite("CUDADevice", .serialized)
struct DeviceTests {
    @Test("facts of the device", arguments: TestMachine.devices)
    func facts(_ kind: TestDevice) throws {
        let bench = try FillBench(kind)
        let device = bench.device
        let (free, total) = try device.memory()
        let blocks = try bench.fill.blocksPerMultiprocessor(block: 128)
        #expect(!device.name.isEmpty)
        #expect(device.computeCapability.major >= 8)
        #expect(device.multiprocessors > 0)
        #expect(device.sharedMemoryPerBlock >= 96 << 10)
        #expect(free > 0 && free <= total)
        #expect(bench.fill.registers > 0 && bench.fill.localMemory == 0)
        #expect(blocks > 0)
    }

    @Test("a kernel writes all of a buffer", arguments: TestMachine.devices, [1, 1_000, 100_003])
    func launches(_ kind: TestDevice, count: Int) throws {
        let bench = try FillBench(kind)
        let memory = try DeviceMemory(bytes: count * 4, on: bench.device)
        try bench.stream.fill(memory.address, with: 0, count: memory.bytes)
        let zeros = try bench.values(memory)
        try bench.launch(2.5, memory)
        let filled = try bench.values(memory)
        #expect(zeros == [Float](repeating: 0, count: count))
        #expect(filled == [Float](repeating: 2.5, count: count))
    }

    @Test("bytes go there and come back, through pinned memory too", arguments: TestMachine.devices)
    func copies(_ kind: TestDevice) throws {
        let bench = try FillBench(kind)
        let memory = try DeviceMemory(bytes: 4_096, on: bench.device)
        let pinned = try PinnedMemory(bytes: 4_096, on: bench.device)
        let sent = (0..<4_096).map { UInt8(truncatingIfNeeded: $0 * 7) }
        try sent.withUnsafeBytes { try bench.stream.copy($0, to: memory.address) }
        try bench.stream.copy(from: memory.address, to: pinned.bytes)
        try bench.stream.synchronize()
        #expect(Array(pinned.bytes) == sent)
    }

    @Test("a captured graph runs when it is launched, and again", arguments: TestMachine.devices)
    func replays(_ kind: TestDevice) throws {
        let bench = try FillBench(kind)
        let memory = try DeviceMemory(bytes: 4_000, on: bench.device)
        try bench.launch(1, memory)
        let graph = try bench.stream.capture {
            try bench.launch(2, memory)
            try bench.launch(3, memory, dependent: bench.device.computeCapability.major >= 9)
        }
        let captured = try bench.values(memory)
        #expect(graph.nodes == 2)
        #expect(captured.allSatisfy { $0 == 1 })
        for _ in 0..<2 {
            try bench.launch(1, memory)
            try graph.launch(on: bench.stream)
            let replayed = try bench.values(memory)
            #expect(replayed.allSatisfy { $0 == 3 })
        }
    }

    @Test("a capture that fails leaves the stream as it was", arguments: TestMachine.devices)
    func failedCapture(_ kind: TestDevice) throws {
        struct Stop: Error {}
        let bench = try FillBench(kind)
        let memory = try DeviceMemory(bytes: 4_000, on: bench.device)
        #expect(throws: Stop.self) {
            _ = try bench.stream.capture {
                try bench.launch(2, memory)
                throw Stop()
            }
        }
        try bench.launch(4, memory)
        let values = try bench.values(memory)
        #expect(values.allSatisfy { $0 == 4 })
    }

    @Test("events measure time", arguments: TestMachine.devices)
    func times(_ kind: TestDevice) throws {
        let bench = try FillBench(kind)
        let memory = try DeviceMemory(bytes: 16 << 20, on: bench.device)
        let start = try CUDAEvent(on: bench.device)
        let end = try CUDAEvent(on: bench.device)
        try start.record(on: bench.stream)
        try bench.launch(1, memory)
        try end.record(on: bench.stream)
        try end.synchronize()
        let milliseconds = try end.milliseconds(since: start)
        #expect(milliseconds > 0 && milliseconds < 10_000)
    }

    @Test("too much memory: how much was asked, how much is free", arguments: TestMachine.devices)
    func outOfMemory(_ kind: TestDevice) throws {
        let bench = try FillBench(kind)
        let (_, total) = try bench.device.memory()
        let requested = total + (1 << 30)
        let error = #expect(throws: CUDAError.self) {
            _ = try DeviceMemory(bytes: requested, on: bench.device)
        }
        guard case .outOfMemory(requested, let free, total) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(free > 0 && free <= total)
    }

    @Test("a function that is not there is named", arguments: TestMachine.devices)
    func missingFunction(_ kind: TestDevice) throws {
        let bench = try FillBench(kind)
        #expect(throws: CUDAError.missingFunction("empty", kernel: "fill")) {
            _ = try bench.module.kernel("empty")
        }
    }

    @Test("an image that is no machine code is refused, by name", arguments: TestMachine.devices)
    func badImage(_ kind: TestDevice) throws {
        let bench = try FillBench(kind)
        let compiled = CompiledKernel(
            name: "noise", architecture: "sm_90a", image: Array("no machine code".utf8),
            origin: .cache)
        let error = #expect(throws: CUDAError.self) {
            _ = try KernelModule(compiled, on: bench.device)
        }
        let (major, minor) = try bench.device.driverVersion()
        guard case .loading("noise", "sm_90a", let reason) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(major >= 12)
        #expect(reason.hasSuffix("; the driver is one for CUDA \(major).\(minor)"))
    }

    @Test("a device that is not there: the error says how many are", arguments: TestMachine.devices)
    func noDevice(_ kind: TestDevice) throws {
        let driver = try kind == .gpu ? Driver.shared.get() : FillBench.simulated
        let error = #expect(throws: CUDAError.self) { try CUDADevice(99, driver: driver) }
        guard case .noDevice(ordinal: 99, let count) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(count > 0)
    }
}

/// What only a driver that remembers can tell.
extension DeviceTests {
    @Test("everything is freed, also after errors")
    func freed() throws {
        struct Stop: Error {}
        let before = simulated_live()
        try {
            let bench = try FillBench(.simulated)
            let memory = try DeviceMemory(bytes: 4_000, on: bench.device)
            let pinned = try PinnedMemory(bytes: 100, on: bench.device)
            let event = try CUDAEvent(on: bench.device)
            let graph = try bench.stream.capture { try bench.launch(2, memory) }
            #expect(throws: Stop.self) { _ = try bench.stream.capture { throw Stop() } }
            // Context, stream, module and these four.
            withExtendedLifetime((pinned, event, graph)) {
                #expect(simulated_live() == before + 7)
            }
        }()
        #expect(simulated_live() == before)
    }

    @Test("what another thread lets go of is freed too")
    func freedElsewhere() throws {
        let before = simulated_live()
        let device = try CUDADevice(0, driver: FillBench.simulated)
        var memory: DeviceMemory? = try DeviceMemory(bytes: 4_000, on: device)
        #expect(memory != nil && simulated_live() == before + 2)
        simulated_forget_context()
        memory = nil
        #expect(simulated_live() == before + 1)
        withExtendedLifetime(device) {}
    }

    @Test("a launch is told as it was meant")
    func launchConfiguration() throws {
        let bench = try FillBench(.simulated)
        let memory = try DeviceMemory(bytes: 400, on: bench.device)
        let fill = try bench.module.kernel("fill", sharedMemory: 100_000)
        try fill.launch(
            grid: (4, 3, 2), block: 96, sharedMemory: 70_000,
            arguments: KernelArguments(memory.address, Float(1), Int64(100)), on: bench.stream,
            dependent: true)
        let told = simulated_last_launch()
        #expect(simulated_shared_memory() == 100_000)
        #expect([told.config.gridDimX, told.config.gridDimY, told.config.gridDimZ] == [4, 3, 2])
        #expect(told.config.blockDimX == 96)
        #expect(told.config.blockDimY == 1 && told.config.blockDimZ == 1)
        #expect(told.config.sharedMemBytes == 70_000)
        #expect(told.dependent == 1)

        try bench.launch(1, memory)
        let plain = simulated_last_launch()
        #expect(plain.config.numAttrs == 0 && plain.dependent == 0)
    }

    @Test("arguments of other sizes than the kernel's parameters stop the program")
    func wrongArguments() async {
        await #expect(processExitsWith: .failure) {
            let bench = try FillBench(.simulated)
            let memory = try DeviceMemory(bytes: 400, on: bench.device)
            // The last parameter is a long long.
            try bench.fill.launch(
                grid: (1, 1, 1), block: 32,
                arguments: KernelArguments(memory.address, Float(1), Int32(100)),
                on: bench.stream)
        }
    }

    @Test("a driver that knows no parameters launches all the same")
    func olderDriver() throws {
        let driver = FillBench.simulated
        simulated_set_knows_parameters(0)
        defer { simulated_set_knows_parameters(1) }
        #expect(!driver.knowsParameters)
        let bench = try FillBench(.simulated)
        let memory = try DeviceMemory(bytes: 400, on: bench.device)
        try bench.launch(6, memory)
        let values = try bench.values(memory)
        #expect(values.allSatisfy { $0 == 6 })
    }

    @Test(
        "the architecture follows the compute capability",
        arguments: [(8, 0, "sm_80"), (8, 9, "sm_89"), (9, 0, "sm_90a"), (10, 0, "sm_100a")])
    func architecture(major: Int32, minor: Int32, architecture: String) throws {
        simulated_set_capability(major, minor)
        defer { simulated_set_capability(9, 0) }
        let device = try CUDADevice(0, driver: FillBench.simulated)
        #expect(device.architecture == architecture)
    }

    @Test("a tensor map says what the matrix is, and refuses what the copy engine cannot read")
    func tensorMap() throws {
        let device = try CUDADevice(0, driver: FillBench.simulated)
        func map(_ address: UInt64, stride: Int, box: Int) throws -> [UInt64] {
            let map = try TensorMap(
                address: address, rows: 56, columns: 200, stride: stride, boxRows: box, on: device)
            return withUnsafeBytes(of: map.map) { Array($0.bindMemory(to: UInt64.self)) }
        }
        // Address, sizes, stride, box, steps, bfloat16, no interleaving, swizzle of 128 bytes.
        let whole = try map(4_096, stride: 416, box: 8)
        #expect(whole.prefix(11) == [4_096, 200, 56, 416, 64, 8, 1, 1, 9, 0, 3])
        let narrow = try map(4_096, stride: 416, box: 2)
        #expect(narrow[5] == 2 && narrow[10] == 0)
        #expect(throws: CUDAError.self) { try map(4_100, stride: 416, box: 8) }
        #expect(throws: CUDAError.self) { try map(4_096, stride: 402, box: 8) }
    }

    @Test("a GPU that is too old is refused, by name")
    func oldDevice() {
        simulated_set_capability(7, 5)
        defer { simulated_set_capability(9, 0) }
        let error = #expect(throws: CUDAError.self) {
            try CUDADevice(0, driver: FillBench.simulated)
        }
        #expect(error == .unsupportedDevice(name: "Simulated", major: 7, minor: 5))
    }
}
