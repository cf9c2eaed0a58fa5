// An EAGLE-3 draft on a GPU: its few products are the target's kernels, and what stands between them is draft.cu. A chain of
// guesses is one graph: the token that a pass leads to is chosen where its logits are, and the next pass begins with it.
import Artifacts
import CCUDA
import Kernels
import Models
import Tensors

/// A draft's weights as the GPU's kernels read them, and the memory of a pass. Weights are not copied.
final class DeviceDraft {
    let model: DraftModel
    let memory: Memory
    let stream: CUDAStream
    private let kernels: DeviceKernels
    private let between: DraftKernels
    /// From features to g; from z to queries, keys and values; from what was attended to o; from o to logits.
    private let combination: DeviceLayer
    private let heads: DeviceLayer
    private let rest: [DeviceLayer]
    private let head: DeviceLayer
    /// Columns that a pass can have.
    let maxColumns: Int

    /// What passes write, for as many columns as a step can have: `[columns, …]`.
    struct Memory {
        /// bfloat16: features side by side; z; queries, keys and values; what attention returns; silu(gate) · up; the head's
        /// input.
        let features: Tensor
        let input: Tensor
        let heads: Tensor
        let attended: Tensor
        let gated: Tensor
        let output: Tensor
        /// float32: g; what takes its place in the next pass; logits of the draft's vocabulary.
        let combined: Tensor
        let carried: Tensor
        let logits: Tensor
        let residual: DeviceLayer.Residual
        /// int32, of each pass of the chain the draft's numbers of the chosen tokens, one pass behind the other.
        let chosen: Tensor

        init(_ configuration: DraftConfiguration, on device: Device) throws {
            let (layer, columns) = (configuration.layer, DeviceKernels.maxColumns)
            func rows(_ width: Int, _ type: ElementType = .bfloat16) throws -> Tensor {
                try Tensor.zeros([columns, width], type, on: device)
            }
            features = try rows(3 * configuration.targetHiddenSize)
            input = try rows(2 * layer.hiddenSize)
            heads = try rows(layer.queryWidth + 2 * layer.keyValueWidth)
            attended = try rows(layer.queryWidth)
            gated = try rows(layer.intermediateSize)
            output = try rows(layer.hiddenSize)
            combined = try rows(layer.hiddenSize, .float32)
            carried = try rows(layer.hiddenSize, .float32)
            logits = try rows(configuration.vocabularySize, .float32)
            residual = DeviceLayer.Residual(
                stream: try rows(layer.hiddenSize, .float32),
                normalized: try rows(layer.hiddenSize),
                squares: try rows(Int(SLOTS), .float64))
            chosen = try rows(Speculation.limit, .int32)
        }
    }

    /// int32 `[draft's vocabulary]`.
    private let targets: Tensor

    /// - Throws: `DeviceModelError.unsupported` for a draft that libtorch must run, with the reason.
    init(_ model: DraftModel, of target: DeviceModel) throws {
        if let reason = Self.unsupported(model) { throw DeviceModelError.unsupported(reason) }
        let (device, place) = (target.kernels.device, model.embedding.device)
        let configuration = model.configuration
        self.model = model
        (kernels, stream) = (target.kernels, target.stream)
        between = try DraftKernels(device)
        maxColumns = DeviceLayer.mostColumns(.bfloat16, on: device)
        let memory = try Memory(configuration, on: place)
        self.memory = memory
        targets = try model.targets.converted(to: .int32).contiguous()

        func part(
            _ name: String, ofLayer: Bool = true, _ input: Tensor, _ output: Tensor,
            offset: Int = 0
        ) throws -> DeviceLayer.Part {
            DeviceLayer.Part(
                weight: try DeviceMatrix(model.weight(name, ofLayer: ofLayer)),
                input: .init(tensor: input), output: .init(tensor: output, offset: offset))
        }
        var tables: [RowPasses: PassTable] = [:]
        func layer(
            _ parts: [DeviceLayer.Part], isGated: Bool = false, adding gain: Tensor? = nil
        ) throws -> DeviceLayer {
            try DeviceLayer(
                parts, pairing: isGated ? .shared : .none,
                normalizing: isGated ? (memory.residual, device.multiprocessors) : nil,
                adding: gain.map { (memory.residual, $0) },
                epsilon: configuration.layer.normEpsilon, on: device
            ) { passes in
                if let known = tables[passes] { return known }
                let made = try PassTable(passes, blocks: device.multiprocessors, on: place)
                tables[passes] = made
                return made
            }
        }
        let (queries, keys) = (configuration.layer.queryWidth, configuration.layer.keyValueWidth)
        combination = try layer([
            part("fc", ofLayer: false, memory.features, memory.combined)
        ])
        heads = try layer([
            part("self_attn.q_proj", memory.input, memory.heads),
            part("self_attn.k_proj", memory.input, memory.heads, offset: queries),
            part("self_attn.v_proj", memory.input, memory.heads, offset: queries + keys),
        ])
        let normalized = memory.residual.normalized
        rest = [
            try layer(
                [part("self_attn.o_proj", memory.attended, normalized)],
                adding: model.weight("post_attention_layernorm")),
            try layer(
                [
                    part("mlp.gate_proj", normalized, memory.gated),
                    part("mlp.up_proj", normalized, memory.gated),
                ], isGated: true),
            try layer(
                [part("mlp.down_proj", memory.gated, normalized)],
                adding: model.weight("norm", ofLayer: false)),
        ]
        head = try layer([part("lm_head", ofLayer: false, memory.output, memory.logits)])
    }

    /// The first reason for which libtorch must run `model`.
    static func unsupported(_ model: DraftModel) -> String? {
        let (configuration, layer) = (model.configuration, model.configuration.layer)
        let type = model.embedding.elementType
        guard type == .bfloat16 else { return "weights of \(type.rawValue), not bfloat16" }
        guard [64, 128].contains(layer.headDim) else {
            return "heads of \(layer.headDim) dimensions, not 64 or 128"
        }
        guard layer.headCount <= 16 * layer.keyValueHeadCount else {
            return "more than 16 query heads for a key's"
        }
        let widths = [
            layer.hiddenSize, configuration.targetHiddenSize, layer.queryWidth,
            layer.intermediateSize,
        ]
        guard widths.allSatisfy({ $0 % 8 == 0 }) else {
            return "widths that are no multiples of 8"
        }
        guard configuration.vocabularySize <= 1 << TOKEN_BITS else {
            return "a vocabulary of more than \(1 << TOKEN_BITS) tokens"
        }
        return nil
    }

    /// Queues the passes of a draft: from features and tokens to what is chosen.
    /// - Parameters:
    ///   - base: address of the values of `parameters`.
    ///   - cache: keys and values of the draft's layer.
    func queue(
        _ parameters: DraftParameters, at base: UInt64, workspace: DeviceModel.Workspace,
        cache: PagedCache.Memory
    ) throws {
        let shape = parameters.shape
        func address(_ place: Int) -> UInt64 { base + UInt64(4 * place) }
        try between.round(
            DraftFeaturesArguments(
                rows: address(parameters.rows), features: memory.features.deviceAddress,
                width: Int32(memory.features.shape[1]), unused: 0),
            columns: shape.columns, on: stream)
        try combination.launch(columns: shape.columns, kernels, on: stream)
        for pass in 0..<max(1, shape.chain) {
            let isFirst = pass == 0
            let columns = isFirst ? shape.columns : shape.sequences
            try between.enter(
                isFirst
                    ? input(memory.combined, tokens: address(parameters.tokens), targets: 0)
                    : input(
                        memory.carried, tokens: chosen(by: pass - 1, shape),
                        targets: targets.deviceAddress),
                columns: columns, on: stream)
            try heads.launch(columns: columns, kernels, on: stream)
            try attend(pass, parameters, address, workspace, cache)
            for layer in rest { try layer.launch(columns: columns, kernels, on: stream) }
            guard pass < shape.chain else { return }
            try between.leave(
                DraftOutputArguments(
                    from: memory.residual.stream.deviceAddress,
                    columns: isFirst ? address(parameters.lasts) : 0,
                    carried: memory.carried.deviceAddress,
                    gain: model.weight("norm", ofLayer: false).deviceAddress,
                    output: memory.output.deviceAddress, width: Int32(hidden),
                    epsilon: epsilon), sequences: shape.sequences, on: stream)
            try head.launch(columns: shape.sequences, kernels, on: stream)
            // It waits for all before it: the attention of the next pass reads this one's keys before it waits for anything.
            try kernels.sample(
                SampleArguments(
                    logits: memory.logits.deviceAddress,
                    choices: address(parameters.choices(ofPass: pass)),
                    tokens: chosen(by: pass, shape),
                    vocabulary: Int32(memory.logits.shape[1]), unused: 0),
                sequences: shape.sequences, on: stream)
        }
    }

    private var hidden: Int { model.configuration.layer.hiddenSize }
    private var epsilon: Float { Float(model.configuration.layer.normEpsilon) }

    /// Where a pass' tokens are put.
    private func chosen(by pass: Int, _ shape: DraftShape) -> UInt64 {
        memory.chosen.deviceAddress + UInt64(4 * pass * shape.sequences)
    }

    private func input(_ g: Tensor, tokens: UInt64, targets: UInt64) -> DraftInputArguments {
        DraftInputArguments(
            from: g.deviceAddress, tokens: tokens, targets: targets,
            table: model.embedding.deviceAddress,
            inputGain: model.weight("input_layernorm").deviceAddress,
            hiddenGain: model.weight("hidden_norm").deviceAddress,
            input: memory.input.deviceAddress, residual: memory.residual.stream.deviceAddress,
            width: Int32(hidden), epsilon: epsilon,
            isNormed: model.configuration.normsBeforeResidual ? 1 : 0, unused: 0)
    }

    private func attend(
        _ pass: Int, _ parameters: DraftParameters, _ address: (Int) -> UInt64,
        _ workspace: DeviceModel.Workspace, _ cache: PagedCache.Memory
    ) throws {
        let (layer, shape) = (model.configuration.layer, parameters.shape)
        try kernels.attend(
            AttentionArguments(
                heads: memory.heads.deviceAddress, queryNorm: 0, keyNorm: 0,
                cosines: address(parameters.cosines(ofPass: pass)),
                sines: address(parameters.sines(ofPass: pass)),
                positions: address(parameters.positions(ofPass: pass)),
                tables: address(parameters.tables), keys: cache.keys.deviceAddress,
                values: cache.values.deviceAddress, keyScales: 0, valueScales: 0,
                output: memory.attended.deviceAddress,
                partial: workspace.partial.deviceAddress,
                counters: workspace.counters.deviceAddress, epsilon: epsilon,
                scale: 1 / Float(layer.headDim).squareRoot(),
                stride: Int32(memory.heads.shape[1]),
                tableStride: Int32(parameters.tableStride(ofPass: pass)),
                queryHeads: Int32(layer.headCount), kvHeads: Int32(layer.keyValueHeadCount),
                splits: Int32(shape.splits), window: Int32(layer.slidingWindows[0] ?? 0), each: 1,
                rowsEach: Int32(pass == 0 ? shape.rowsEach : 1)),
            headDim: layer.headDim, sequences: shape.sequences, on: stream)
    }

    /// The draft's numbers of what `sequences` were led to, of each pass of a chain; below 0 where a logit was no number.
    func chosen(_ shape: DraftShape) throws -> [Int32] {
        var tokens = [Int32](repeating: 0, count: shape.chain * shape.sequences)
        try tokens.withUnsafeMutableBytes {
            try stream.copy(from: memory.chosen.deviceAddress, to: $0)
        }
        return tokens
    }
}
