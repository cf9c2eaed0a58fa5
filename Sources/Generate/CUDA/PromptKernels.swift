import Artifacts
import CCUDA
import Kernels
import Tensors

/// The kernels between the products of a prompt, for one model, queued where libtorch queues its own.
final class PromptKernels {
    private let stream: CUDAStream
    private let configuration: ModelConfiguration
    private let normalizing: Kernel
    private let preparing: Kernel
    private let gating: Kernel
    private let merging: Kernel

    init(_ configuration: ModelConfiguration, on device: CUDADevice) throws {
        self.configuration = configuration
        stream = CUDAStream.ofLibtorch(on: device)
        let compiled = try KernelCompiler().compile(
            .prompt, for: device.architecture, defines: Self.defines(configuration))
        let module = try KernelModule(compiled, on: device)
        normalizing = try module.kernel("normalize")
        preparing = try module.kernel("prepareHeads")
        gating = try module.kernel("gate")
        merging = try module.kernel("merge")
    }

    static func defines(_ configuration: ModelConfiguration) -> [String: String] {
        // 128 threads have a row, 8 values at a time.
        let chunks = (configuration.hiddenSize + 1_023) / 1_024
        return ["D": "\(configuration.headDim)", "CHUNKS": "\(chunks)"]
    }

    /// RMSNorm of `stream` + `addend`, which is what `stream` holds afterwards.
    /// - Parameters:
    ///   - residual: bfloat16 `[rows, hidden]`; `addend` alike.
    ///   - output: gains the result, of the same shape.
    func normalize(
        _ residual: Tensor, adding addend: Tensor?, gain: Tensor, into output: Tensor
    ) throws {
        let rows = residual.shape[0]
        try launch(
            normalizing, blocks: rows, threads: 128,
            PromptNormArguments(
                residual: residual.deviceAddress, addend: addend?.deviceAddress ?? 0,
                gain: gain.deviceAddress, output: output.deviceAddress,
                width: Int32(configuration.hiddenSize), epsilon: Float(configuration.normEpsilon)))
    }

    /// Where tokens stand: int32 `[tokens]` each.
    struct Places {
        let positions: Tensor
        /// 64 · block + place in it, of the cache.
        let slots: Tensor
    }

    /// Float32 `[positions, headDim / 2]` each.
    typealias Angles = (cosines: Tensor, sines: Tensor)

    /// Normalises and turns queries, `[tokens, queryWidth]`, in place.
    func turn(
        queries: Tensor, norm: Tensor?, by angles: Angles, at places: Places
    ) throws {
        var arguments = arguments(angles, places)
        arguments.queries = queries.deviceAddress
        arguments.queryNorm = norm?.deviceAddress ?? 0
        arguments.queryHeads = Int32(configuration.headCount)
        try prepare(arguments, heads: configuration.headCount)
    }

    /// Normalises and turns keys, `[tokens, keyValueWidth]`, in place, and writes them and values into a bfloat16 cache.
    /// - Parameter memory: of the cache, `[blocks, kvHeads, 64, headDim]` each; `nil` to write nothing.
    func turn(
        keys: Tensor, _ values: Tensor, norm: Tensor?, by angles: Angles, at places: Places,
        into memory: (keys: Tensor, values: Tensor)?
    ) throws {
        var arguments = arguments(angles, places)
        arguments.keys = keys.deviceAddress
        arguments.values = values.deviceAddress
        arguments.keyNorm = norm?.deviceAddress ?? 0
        arguments.keyCache = memory?.keys.deviceAddress ?? 0
        arguments.valueCache = memory?.values.deviceAddress ?? 0
        arguments.kvHeads = Int32(configuration.keyValueHeadCount)
        try prepare(
            arguments, heads: (memory == nil ? 1 : 2) * configuration.keyValueHeadCount)
    }

    private func arguments(_ angles: Angles, _ places: Places) -> PromptHeadsArguments {
        var arguments = PromptHeadsArguments()
        arguments.cosines = angles.cosines.deviceAddress
        arguments.sines = angles.sines.deviceAddress
        arguments.positions = places.positions.deviceAddress
        arguments.slots = places.slots.deviceAddress
        arguments.epsilon = Float(configuration.normEpsilon)
        arguments.tokens = Int32(places.positions.shape[0])
        return arguments
    }

    private func prepare(_ arguments: PromptHeadsArguments, heads: Int) throws {
        let perBlock = 256 / (configuration.headDim / 16)
        let items = Int(arguments.tokens) * heads
        try launch(
            preparing, blocks: (items + perBlock - 1) / perBlock, threads: 256, arguments)
    }

    /// gate = silu(gate) · up, `[…]` of a multiple of 8 values.
    func gate(_ gate: Tensor, _ up: Tensor) throws {
        let pieces = gate.count / 8
        try launch(
            gating, blocks: (pieces + 1_023) / 1_024, threads: 256,
            PromptGateArguments(
                gate: gate.deviceAddress, up: up.deviceAddress, pieces: UInt64(pieces)))
    }

    /// What was attended to in two parts of a sequence becomes what was attended to in both.
    struct Part {
        /// bfloat16 `[tokens, heads, headDim]`.
        let attended: Tensor
        /// float32, ln Σ exp(scores), `[heads, tokens]`.
        let totals: Tensor
    }

    /// - Parameter first: holds the result afterwards.
    func merge(_ first: Part, _ second: Part) throws {
        let tokens = first.attended.count / configuration.queryWidth
        try launch(
            merging, blocks: (first.attended.count / 8 + 255) / 256, threads: 256,
            PromptMergeArguments(
                first: first.attended.deviceAddress, second: second.attended.deviceAddress,
                firstTotals: first.totals.deviceAddress, secondTotals: second.totals.deviceAddress,
                tokens: Int32(tokens), heads: Int32(configuration.headCount)))
    }

    private func launch<Arguments: BitwiseCopyable>(
        _ kernel: Kernel, blocks: Int, threads: Int, _ arguments: Arguments
    ) throws {
        try kernel.launch(
            grid: (blocks, 1, 1), block: threads, arguments: KernelArguments(arguments), on: stream)
    }
}
