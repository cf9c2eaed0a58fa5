// A decode step on a GPU: a handful of launches per block, each of which streams its weights once. The residual stream stays in
// float32; what reads it through a norm gets it times the norm's gain, and its own sum is scaled afterwards.
import Artifacts
import CCUDA
import Kernels
import Models
import Tensors

/// A model's weights as the GPU's kernels read them, and the memory of a step. Weights are not copied, but where their
/// shape asks for padding.
package final class DeviceModel {
    let model: CausalLanguageModel
    let kernels: DeviceKernels
    let promptKernels: PromptKernels
    let stream: CUDAStream
    let activations: DeviceActivations
    private let blocks: [Block]
    /// Formats without a kernel: their matrices are multiplied out, and take the dense ones' memory and time.
    package let multipliedOut: [String]
    /// Whether networks other than pairs are contracted tensor by tensor, which takes less memory and more time.
    package let isContracting: Bool
    private let head: DeviceLayer
    /// Sequences that a step can have.
    let maxColumns: Int

    private struct Block {
        var beforeAttention: [any DeviceOperation] = []
        var behindAttention: [any DeviceOperation] = []
    }

    /// - Parameter contracting: networks other than pairs are not multiplied out; `nil` where that would take more than three
    ///   quarters of the memory that is free.
    /// - Throws: `DeviceModelError.unsupported` for a model that libtorch must run, with the reason.
    package init(_ model: CausalLanguageModel, contracting: Bool? = nil) throws {
        guard case .cuda(let ordinal) = model.device else {
            preconditionFailure("the device runs what it holds")
        }
        if let reason = Self.unsupported(model) { throw DeviceModelError.unsupported(reason) }
        self.model = model
        let device = try CUDADevice.open(ordinal)
        kernels = try DeviceKernels(device)
        promptKernels = try PromptKernels(model.configuration, on: device)
        stream = try CUDAStream(on: device)
        // Contracted they decode several times slower (LOG.md).
        let wanted = model.blocks.reduce(0) { sum, block in
            Projection.allCases.reduce(sum) {
                $0 + DeviceWeight.bytesMultipliedOut(block[$1].weight)
            }
        }
        let isContracting =
            try contracting
            ?? (wanted > 0 && wanted > TorchRuntime.freeMemory(on: model.device) / 4 * 3)
        self.isContracting = isContracting && wanted > 0
        var weights: [[Projection: DeviceWeight]] = []
        var multipliedOut: Set<String> = []
        for block in model.blocks {
            weights.append(
                try Self.weights(of: block, contracting: isContracting, &multipliedOut))
        }
        self.multipliedOut = multipliedOut.sorted()
        maxColumns = weights.flatMap(\.values).reduce(DeviceKernels.maxColumns) { most, weight in
            min(most, DeviceLayer.mostColumns(weight.elementType, on: device))
        }
        activations = try DeviceActivations(
            model.configuration, ranks: weights.map(Self.rankWidth).max() ?? 8, on: model.device)
        let builder = try Builder(
            model: model, activations: activations, weights, device: device)
        blocks = try zip(model.blocks, weights).enumerated().map { index, pair in
            let behind =
                index + 1 < model.blocks.count
                ? model.blocks[index + 1].attentionNorm : model.ends.norm
            return try Block(
                beforeAttention: builder.heads(
                    of: pair.0, pair.1, slots: index == 0 ? 1 : device.multiprocessors),
                behindAttention: builder.rest(of: pair.0, pair.1, behind: behind))
        }
        head = try builder.head()
    }

    /// The first reason for which libtorch must run `model`.
    static func unsupported(_ model: CausalLanguageModel) -> String? {
        let configuration = model.configuration
        let type = model.ends.embedding.elementType
        guard type == .bfloat16 else { return "weights of \(type.rawValue), not bfloat16" }
        guard [64, 128].contains(configuration.headDim) else {
            return "heads of \(configuration.headDim) dimensions, not 64 or 128"
        }
        guard configuration.headCount <= 16 * configuration.keyValueHeadCount else {
            return "more than 16 query heads for a key's"
        }
        guard
            [configuration.hiddenSize, configuration.queryWidth, configuration.intermediateSize]
                .allSatisfy({ $0 % 8 == 0 })
        else { return "widths that are no multiples of 8" }
        let hasBiases = model.blocks.contains { block in
            [Projection.gate, .up].contains { block[$0].bias != nil }
        }
        return hasBiases ? "biases of gate and up" : nil
    }

    /// - Parameter multipliedOut: gains the formats that no kernel knows.
    private static func weights(
        of block: DecoderBlock, contracting: Bool, _ multipliedOut: inout Set<String>
    ) throws -> [Projection: DeviceWeight] {
        var weights: [Projection: DeviceWeight] = [:]
        for projection in Projection.allCases {
            let weight = block[projection].weight
            if let format = DeviceWeight.formatMultipliedOut(weight, contracting: contracting) {
                multipliedOut.insert(format)
            }
            weights[projection] = try DeviceWeight(weight, contracting: contracting)
        }
        // Gate and up are computed row by row beside one another, or summed.
        if let gate = weights[.gate], let up = weights[.up], !gate.isLike(up) {
            (weights[.gate], weights[.up]) = (.sum(gate.terms), .sum(up.terms))
        }
        return weights
    }

    /// Values of a column that stand between the two products of pairs: of layers that run together.
    private static func rankWidth(_ weights: [Projection: DeviceWeight]) -> Int {
        let groups: [[Projection]] = [[.query, .key, .value], [.output], [.gate, .up], [.down]]
        return groups.map { group in
            group.reduce(0) { $0 + (weights[$1]?.middleWidth ?? 0) }
        }.max() ?? 0
    }

    /// What a step is made for.
    struct Shape: Hashable {
        let sequences: Int
        /// Columns of each: a token and its draft.
        let rowsEach: Int
        /// Pieces of 512 tokens that the longest sequence has, at least; a power of two.
        let splits: Int

        var columns: Int { sequences * rowsEach }
    }

    /// What enters some layers, for a draft model.
    struct Taps {
        let layers: [Int]
        /// float32 `[columns, layers · hidden]`.
        let features: Tensor

        /// Where what enters a layer stands.
        func places(of layer: Int) -> [Int] { layers.indices.filter { layers[$0] == layer } }
    }

    /// Queues a step: from the tokens in `activations.parameters` to logits.
    /// - Parameter memory: keys and values of each layer.
    func queue(
        _ shape: Shape, workspace: Workspace, taps: Taps?, memory: (Int) -> PagedCache.Memory
    ) throws {
        let (columns, splits) = (shape.columns, shape.splits)
        let configuration = model.configuration
        let parameters = activations.parameters
        try kernels.embed(
            EmbeddingArguments(
                tokens: parameters.tokens, table: model.ends.embedding.deviceAddress,
                gain: (model.blocks.first?.attentionNorm ?? model.ends.norm).deviceAddress,
                residual: activations.residual.stream.deviceAddress,
                normalized: activations.residual.normalized.deviceAddress,
                squares: activations.residual.squares.deviceAddress,
                width: Int32(configuration.hiddenSize),
                unused: 0), columns: columns, on: stream)
        for (index, block) in blocks.enumerated() {
            // A shallow model's layer may be tapped twice.
            if let taps {
                for place in taps.places(of: index) {
                    let width = configuration.hiddenSize
                    try kernels.tap(
                        TapArguments(
                            from: activations.residual.stream.deviceAddress,
                            to: taps.features.deviceAddress + UInt64(4 * place * width),
                            width: Int32(width), stride: Int32(taps.layers.count * width)),
                        columns: columns, on: stream)
                }
            }
            for layer in block.beforeAttention {
                try layer.launch(columns: columns, kernels, on: stream)
            }
            let cache = memory(index)
            let norms = model.blocks[index]
            try kernels.attend(
                AttentionArguments(
                    heads: activations.heads.deviceAddress,
                    queryNorm: norms.queryNorm?.deviceAddress ?? 0,
                    keyNorm: norms.keyNorm?.deviceAddress ?? 0, cosines: parameters.cosines,
                    sines: parameters.sines, positions: parameters.positions,
                    tables: parameters.tables, keys: cache.keys.deviceAddress,
                    values: cache.values.deviceAddress,
                    keyScales: cache.keyScales?.deviceAddress ?? 0,
                    valueScales: cache.valueScales?.deviceAddress ?? 0,
                    output: activations.attended.deviceAddress,
                    partial: workspace.partial.deviceAddress,
                    counters: workspace.counters.deviceAddress,
                    epsilon: Float(configuration.normEpsilon),
                    scale: 1 / Float(configuration.headDim).squareRoot(),
                    stride: Int32(activations.heads.shape[1]),
                    tableStride: Int32(parameters.blocksEach),
                    queryHeads: Int32(configuration.headCount),
                    kvHeads: Int32(configuration.keyValueHeadCount), splits: Int32(splits),
                    window: Int32(configuration.slidingWindows[index] ?? 0), each: 1,
                    rowsEach: Int32(shape.rowsEach)),
                headDim: configuration.headDim, sequences: shape.sequences, on: stream)
            for layer in block.behindAttention {
                try layer.launch(columns: columns, kernels, on: stream)
            }
        }
        try head.launch(columns: columns, kernels, on: stream)
    }

    /// Where the splits of the attention meet.
    struct Workspace {
        /// Columns times splits of each, at most.
        let pieces: Int
        /// float32, see `AttentionArguments`.
        let partial: Tensor
        /// int32 `[columns, kvHeads]`, zero between steps.
        let counters: Tensor

        init(_ configuration: ModelConfiguration, pieces: Int, on device: Device) throws {
            self.pieces = pieces
            partial = try Tensor.uninitialized(
                [pieces * configuration.headCount * (configuration.headDim + 4)], on: device)
            counters = try Tensor.zeros(
                [DeviceKernels.maxColumns * configuration.keyValueHeadCount], .int32, on: device)
        }
    }
}
