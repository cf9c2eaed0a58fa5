// Decoding on a GPU is bound by the bytes of the weights, if nothing else takes time: a step is one graph of kernels that was
// captured once for its number of sequences, and the host sends it what the sequences are. Prompts are bound by arithmetic
// and go another way.
import Artifacts
import CCUDA
import Kernels
import Models
import Tensors

/// Runs a model on a GPU.
package final class DeviceRunner: StepRunner {
    private let device: DeviceModel
    private let cache: PagedCache
    private let spill: SpillMemory
    private let prompts: DevicePrompt
    private let sampler: DeviceSampler
    /// Layers whose inputs a draft model reads.
    private let tapped: [Int]
    /// float32, of all positions that the cache has room for, `[positions · headDim / 2]`.
    private let cosines: [Float]
    private let sines: [Float]
    private var graphs: [Shape: CUDAGraph] = [:]
    /// One for all graphs, which know its address.
    private var workspace: DeviceModel.Workspace

    /// What a graph is captured for.
    private struct Shape: Hashable {
        let columns: Int
        /// A power of two.
        let splits: Int
    }

    package init(
        _ device: DeviceModel, blocks: Int, as type: ElementType = .bfloat16, spill: Int = 0,
        noise: UInt64? = nil, tapping tapped: [Int] = []
    ) throws {
        self.device = device
        self.tapped = tapped
        let configuration = device.model.configuration
        cache = try PagedCache(
            configuration, blocks: blocks, blockTokens: Executor.blockTokens, as: type,
            on: device.model.device,
            noise: noise)
        self.spill = try SpillMemory(of: cache, blocks: spill)
        let positions = min(configuration.maxPositions, blocks * Executor.blockTokens)
        let angles = try RotaryTables(configuration, type: .float32, device: .cpu)
            .angles(at: 0..<positions)
        cosines = try angles.cosines.elements()
        sines = try angles.sines.elements()
        prompts = try DevicePrompt(
            device.model, cache,
            angles: (
                angles.cosines.contiguous().moved(to: device.model.device),
                angles.sines.contiguous().moved(to: device.model.device)
            ), device.promptKernels)
        workspace = try DeviceModel.Workspace(configuration, pieces: 64, on: device.model.device)
        sampler = DeviceSampler(device.kernels, device.stream, on: device.model.device)
    }

    package var blocks: Int { cache.blocks }
    package var blockTokens: Int { cache.blockTokens }
    package var spillBlocks: Int { spill.blocks }

    /// Tokens are drawn where their logits are; what comes back is a number of each.
    package func predictions(
        of step: Scheduler.Step, _ choices: [TokenChoice?]
    ) throws -> [Prediction] {
        try sampler.predictions(out: logits(of: step), choices)
    }

    package func logits(of step: Scheduler.Step) throws -> Tensor {
        try spill.transfer(for: step)
        let vocabulary = device.model.configuration.vocabularySize
        func rows(_ values: Tensor) throws -> [Tensor] {
            try (0..<values.shape[0]).map { try values.narrowed(0, $0..<$0 + 1) }
        }
        func logits(decoding items: [Scheduler.Item]) throws -> Tensor {
            try decode(items)
            return try device.activations.logits.narrowed(0, 0..<items.count)
        }
        // A step that only decodes hands out its memory, which the next one writes.
        if !step.items.isEmpty, step.items.count <= device.maxColumns,
            step.items.allSatisfy({ $0.tokens.count == 1 && $0.predicts })
        {
            return try logits(decoding: step.items)
        }
        let found = try step.rows(
            read: { try rows(prompts.logits(of: $0).converted(to: .float32)) },
            decode: { single in
                try stride(from: 0, to: single.count, by: device.maxColumns).flatMap { start in
                    let end = min(start + device.maxColumns, single.count)
                    return try rows(logits(decoding: Array(single[start..<end])).copied())
                }
            })
        guard !found.isEmpty else {
            return try Tensor.zeros([0, vocabulary], on: device.model.device)
        }
        return try Tensor.concatenated(found, along: 0)
    }

    /// Computes the logits behind one token of each item, into the activations.
    private func decode(_ items: [Scheduler.Item]) throws {
        let half = device.model.configuration.headDim / 2
        let columns = items.map { item in
            DeviceActivations.Parameters.Column(
                token: item.tokens[0], position: Int32(item.start),
                cosines: cosines[item.start * half..<(item.start + 1) * half],
                sines: sines[item.start * half..<(item.start + 1) * half], blocks: item.blocks)
        }
        try device.activations.parameters.set(columns, on: device.stream)
        let longest = items.map(\.start).max() ?? 0
        var splits = 1
        while splits * Int(SPLIT_TOKENS) <= longest { splits *= 2 }
        try graph(Shape(columns: items.count, splits: splits)).launch(on: device.stream)
    }

    private func graph(_ shape: Shape) throws -> CUDAGraph {
        let pieces = shape.columns * shape.splits
        if pieces > workspace.pieces {
            // What was captured writes to the old one.
            graphs.removeAll()
            workspace = try DeviceModel.Workspace(
                device.model.configuration, pieces: max(pieces, 2 * workspace.pieces),
                on: device.model.device)
        }
        if let known = graphs[shape] { return known }
        func queue() throws {
            try device.queue(
                columns: shape.columns, splits: shape.splits, workspace: workspace,
                memory: cache.memory(ofLayer:))
        }
        // Kernels are compiled and loaded outside of the capture.
        try queue()
        let graph = try device.stream.capture(queue)
        graphs[shape] = graph
        return graph
    }
}
