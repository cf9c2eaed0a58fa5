import CCUDA
import Kernels

/// The kernels of decode steps, compiled for one GPU when they are wanted first.
final class DeviceKernels {
    let device: CUDADevice
    private let compiler: KernelCompiler
    private var linear: [Int: Variant] = [:]
    private var attention: [AttentionShape: Variant] = [:]
    private let embedding: Kernel
    private let likeliest: Kernel

    private struct Variant {
        let kernel: Kernel
        let sharedMemory: Int
    }

    private struct AttentionShape: Hashable {
        let headDim: Int
        let stages: Int
    }

    /// Sequences of a step at most.
    static let maxColumns = 56
    /// Tokens of a sequence that a thread block of the attention takes.
    static let splitTokens = 512
    private static let linearWarps = 8
    private static let attentionWarps = 4

    init(_ device: CUDADevice) throws {
        self.device = device
        compiler = try KernelCompiler()
        let ends = try KernelModule(compiler.compile(.ends, for: device.architecture), on: device)
        embedding = try ends.kernel("embed")
        likeliest = try ends.kernel("likeliest")
    }

    /// Kernels may begin before the one in front has ended.
    private var overlaps: Bool { device.computeCapability.major >= 9 }

    func embed(_ arguments: EmbeddingArguments, columns: Int, on stream: CUDAStream) throws {
        try embedding.launch(
            grid: (columns, 1, 1), block: 256, arguments: KernelArguments(arguments), on: stream)
    }

    func choose(_ arguments: LikeliestArguments, columns: Int, on stream: CUDAStream) throws {
        try likeliest.launch(
            grid: (32, columns, 1), block: 256, arguments: KernelArguments(arguments), on: stream,
            dependent: overlaps)
    }

    /// One thread block per multiprocessor: `arguments.passes` must be for as many.
    func multiply(_ arguments: LinearArguments, on stream: CUDAStream) throws {
        let variant = try linear(columns: Int(arguments.columns))
        try variant.kernel.launch(
            grid: (device.multiprocessors, 1, 1), block: 32 * Self.linearWarps,
            sharedMemory: variant.sharedMemory, arguments: KernelArguments(arguments), on: stream,
            dependent: overlaps)
    }

    func attend(
        _ arguments: AttentionArguments, headDim: Int, sequences: Int, on stream: CUDAStream
    ) throws {
        let blocks = Int(arguments.splits * arguments.kvHeads) * sequences
        let variant = try attention(
            headDim: headDim, isCrowded: blocks > device.multiprocessors)
        try variant.kernel.launch(
            grid: (Int(arguments.splits), Int(arguments.kvHeads), sequences),
            block: 32 * Self.attentionWarps, sharedMemory: variant.sharedMemory,
            arguments: KernelArguments(arguments), on: stream, dependent: overlaps)
    }

    /// As many tiles in the rings as shared memory holds.
    private func linear(columns: Int) throws -> Variant {
        guard let most = [1, 2, 4, 8, 16, 32, Self.maxColumns].first(where: { $0 >= columns })
        else { preconditionFailure("\(columns) columns are more than a step has") }
        if let known = linear[most] { return known }
        let sums = Self.linearWarps * 8 * 36 * 4
        let stage = Self.linearWarps * (2_048 + most * 128)
        // Beside it: the passes, and what the driver keeps.
        let stages = min(11, (device.sharedMemoryPerBlock - sums - 3_072) / stage)
        let made = try variant(
            .linear, "linear", ["COLUMNS": "\(most)", "STAGES": "\(stages)"],
            sharedMemory: stages * stage + sums)
        linear[most] = made
        return made
    }

    private func attention(headDim: Int, isCrowded: Bool) throws -> Variant {
        let (queries, states) = (16 * headDim * 2, Self.attentionWarps * 128)
        let stage = Self.attentionWarps * 2 * 16 * headDim * 2
        // Several blocks share a multiprocessor, or one has it for itself.
        let stages = isCrowded ? 2 : min(3, (device.sharedMemoryPerBlock - 8_192) / stage)
        let shape = AttentionShape(headDim: headDim, stages: stages)
        if let known = attention[shape] { return known }
        let made = try variant(
            .attention, "attention",
            [
                "D": "\(headDim)", "KV_BYTES": "2", "STAGES": "\(stages)",
                "WARPS": "\(Self.attentionWarps)",
            ], sharedMemory: stages * stage + queries + states)
        attention[shape] = made
        return made
    }

    private func variant(
        _ source: KernelSource, _ name: String, _ defines: [String: String], sharedMemory: Int
    ) throws -> Variant {
        let compiled = try compiler.compile(source, for: device.architecture, defines: defines)
        let kernel = try KernelModule(compiled, on: device)
            .kernel(name, sharedMemory: sharedMemory)
        return Variant(kernel: kernel, sharedMemory: sharedMemory)
    }
}
