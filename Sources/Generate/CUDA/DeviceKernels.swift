import CCUDA
import Kernels
import Tensors

/// The kernels of decode steps, compiled for one GPU when they are wanted first.
final class DeviceKernels {
    let device: CUDADevice
    private let compiler: KernelCompiler
    private var loaded: [KernelVariant: Kernel] = [:]
    private let embedding: Kernel
    private let tapping: Kernel
    private let sampling: Kernel
    private lazy var contracting = Result {
        try KernelModule(compiler.compile(.contraction, for: device.architecture), on: device)
    }
    private lazy var contraction = Result { try contracting.get().kernel("contraction") }
    private lazy var assembly = Result { try contracting.get().kernel("assemble") }

    /// Columns of a step at most: sequences times the tokens of each.
    static let maxColumns = GemmPlan.mostColumns

    private(set) lazy var gemmPlans = DeviceGemmPlans(on: device)

    init(_ device: CUDADevice) throws {
        self.device = device
        compiler = try KernelCompiler()
        let module = try KernelModule(
            compiler.compile(.embedding, for: device.architecture), on: device)
        embedding = try module.kernel("embed")
        tapping = try module.kernel("tap")
        sampling = try KernelModule(
            compiler.compile(.sample, for: device.architecture), on: device
        ).kernel("sample")
    }

    /// Kernels may begin before the one in front has ended, and copy by tensor maps.
    private var overlaps: Bool { device.computeCapability.major >= 9 }

    func embed(_ arguments: EmbeddingArguments, columns: Int, on stream: CUDAStream) throws {
        try embedding.launch(
            grid: (columns, 1, 1), block: 256, arguments: KernelArguments(arguments), on: stream)
    }

    func tap(_ arguments: TapArguments, columns: Int, on stream: CUDAStream) throws {
        try tapping.launch(
            grid: (columns, 1, 1), block: 256, arguments: KernelArguments(arguments), on: stream,
            dependent: overlaps)
    }

    func sample(_ arguments: SampleArguments, sequences: Int, on stream: CUDAStream) throws {
        try sampling.launch(
            grid: (sequences, 1, 1), block: 1_024, arguments: KernelArguments(arguments),
            on: stream)
    }

    /// One thread block per multiprocessor: `arguments.passes` must be for as many.
    /// - Parameter weights: type of their elements.
    func multiply(
        _ arguments: LinearArguments, weights: ElementType, on stream: CUDAStream
    ) throws {
        let variant = KernelVariant.linear(
            columns: Int(arguments.columns), weights: weights, hasCopyEngine: overlaps,
            available: device.sharedMemoryPerBlock)
        try kernel(variant).launch(
            grid: (device.multiprocessors, 1, 1), block: 32 * KernelVariant.linearWarps,
            sharedMemory: variant.sharedMemory, arguments: KernelArguments(arguments), on: stream,
            dependent: overlaps)
    }

    /// One thread block per multiprocessor: `arguments.units` must be for as many.
    func multiply(
        _ arguments: GemmArguments, _ variant: KernelVariant, on stream: CUDAStream
    ) throws {
        try kernel(variant).launch(
            grid: (device.multiprocessors, 1, 1), block: 384, sharedMemory: variant.sharedMemory,
            arguments: KernelArguments(arguments), on: stream, dependent: overlaps)
    }

    func contract(_ arguments: ContractionArguments, on stream: CUDAStream) throws {
        let columns = Int(arguments.columns) * Int(arguments.sequences)
        try contraction.get().launch(
            grid: ((columns + 63) / 64, (Int(arguments.rows) + 63) / 64, Int(arguments.splits)),
            block: 128, arguments: KernelArguments(arguments), on: stream, dependent: overlaps)
    }

    func assemble(_ arguments: AssemblyArguments, columns: Int, on stream: CUDAStream) throws {
        try assembly.get().launch(
            grid: (device.multiprocessors, columns, 1), block: 256,
            arguments: KernelArguments(arguments), on: stream, dependent: overlaps)
    }

    /// - Parameter sequences: each of `arguments.rowsEach` columns.
    func attend(
        _ arguments: AttentionArguments, headDim: Int, sequences: Int, on stream: CUDAStream
    ) throws {
        var arguments = arguments
        let group = Int(arguments.queryHeads / arguments.kvHeads)
        let (tokens, isQuantized) = (Int(arguments.rowsEach), arguments.keyScales != 0)
        let splits = Int(arguments.splits * arguments.kvHeads) * sequences
        // Of many, a block takes two behind one another: its first loads and its last stores are waited for once.
        arguments.each = splits > 32 * device.multiprocessors ? 2 : 1
        let blocks = (splits + Int(arguments.each) - 1) / Int(arguments.each)
        let tiles = KernelVariant.attentionTiles(group: group, tokens: tokens)
        let isCrowded =
            tokens == 1
            ? blocks > device.multiprocessors : splits * tiles > 2 * device.multiprocessors
        let rows = KernelVariant.attentionRows(
            group: group, tokens: tokens, isQuantized: isQuantized, isCrowded: isCrowded)
        let slices = (group * tokens + rows - 1) / rows
        if rows > 16 {
            // More rows take longer to begin and to end.
            arguments.each =
                [4, 2].first { splits * slices / Int($0) > 7 * device.multiprocessors } ?? 1
        }
        let variant = KernelVariant.attention(
            headDim: headDim, group: group, tokens: tokens, isQuantized: isQuantized,
            isCrowded: isCrowded, available: device.sharedMemoryPerBlock)
        try kernel(variant).launch(
            grid: (
                Int((arguments.splits + arguments.each - 1) / arguments.each) * slices,
                Int(arguments.kvHeads), sequences
            ),
            block: 32 * KernelVariant.attentionWarps, sharedMemory: variant.sharedMemory,
            arguments: KernelArguments(arguments), on: stream, dependent: overlaps)
    }

    private func kernel(_ variant: KernelVariant) throws -> Kernel {
        if let known = loaded[variant] { return known }
        let compiled = try compiler.compile(
            variant.source, for: device.architecture, defines: variant.defines)
        let kernel = try KernelModule(compiled, on: device)
            .kernel(variant.function, sharedMemory: variant.sharedMemory)
        loaded[variant] = kernel
        return kernel
    }
}
