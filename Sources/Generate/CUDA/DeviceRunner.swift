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
    /// What enters the layers that a draft model reads.
    private let taps: DeviceModel.Taps?
    private var features: [RequestID: Tensor] = [:]
    private var scores: [RequestID: [TokenLogprobs]] = [:]
    /// float32, of all positions that the cache has room for, `[positions · headDim / 2]`.
    private let cosines: [Float]
    private let sines: [Float]
    private var graphs: [DeviceModel.Shape: CUDAGraph] = [:]
    /// One for all graphs, which know its address.
    private var workspace: DeviceModel.Workspace

    /// Graphs that are kept: each takes some memory.
    private static let mostGraphs = 512
    /// Columns of a sequence at most: a token and its draft.
    private static let mostRows = 8

    package init(
        _ device: DeviceModel, blocks: Int, as type: ElementType = .bfloat16, spill: Int = 0,
        noise: UInt64? = nil, tapping tapped: [Int] = []
    ) throws {
        self.device = device
        let configuration = device.model.configuration
        taps =
            try tapped.isEmpty
            ? nil
            : DeviceModel.Taps(
                layers: tapped,
                features: Tensor.zeros(
                    [DeviceKernels.maxColumns, tapped.count * configuration.hiddenSize],
                    .float32, on: device.model.device))
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

    package func features(of request: RequestID) -> Tensor? { features[request] }

    package func scores(of request: RequestID) -> [TokenLogprobs] { scores[request] ?? [] }

    package func logits(of step: Scheduler.Step) throws -> Tensor {
        try spill.transfer(for: step)
        (features, scores) = ([:], [:])
        let vocabulary = device.model.configuration.vocabularySize
        func rows(_ values: Tensor) throws -> [Tensor] {
            try (0..<values.shape[0]).map { try values.narrowed(0, $0..<$0 + 1) }
        }
        // A step that only decodes hands out its memory, which the next one writes.
        if !step.items.isEmpty, step.items.allSatisfy({ $0.decodes && $0.predicts }),
            rowsEach(step.items) * step.items.count <= device.maxColumns
        {
            return try decode(step.items)
        }
        let found = try step.rows(
            read: {
                let found = try prompts.logits(of: $0, tapping: taps?.layers ?? []) {
                    features[$0] = $1
                }
                scores = found.scores
                return try rows(found.logits.converted(to: .float32))
            },
            decode: { items in
                let most = device.maxColumns / rowsEach(items)
                return try stride(from: 0, to: items.count, by: most).flatMap { start in
                    let some = Array(items[start..<min(start + most, items.count)])
                    let logits = try decode(some).copied()
                    for item in some {
                        features[item.request] = try features[item.request]?.copied()
                    }
                    return try rows(logits)
                }
            })
        guard !found.isEmpty else {
            return try Tensor.zeros([0, vocabulary], on: device.model.device)
        }
        return try Tensor.concatenated(found, along: 0)
    }

    /// Columns of a sequence: as many as the longest draft asks for.
    private func rowsEach(_ items: [Scheduler.Item]) -> Int {
        let rows = items.map(\.tokens.count).max() ?? 1
        precondition(rows <= Self.mostRows, "drafts are shorter than that")
        return rows
    }

    /// Computes the logits behind the tokens of each item, in the activations' memory.
    private func decode(_ items: [Scheduler.Item]) throws -> Tensor {
        let half = device.model.configuration.headDim / 2
        let rows = rowsEach(items)
        var (columns, places) = ([DeviceActivations.Parameters.Column](), [Int]())
        for (index, item) in items.enumerated() {
            for row in 0..<rows {
                let isThere = row < item.tokens.count
                let position = isThere ? item.start + row : item.start
                if isThere { places.append(index * rows + row) }
                columns.append(
                    DeviceActivations.Parameters.Column(
                        token: isThere ? item.tokens[row] : 0,
                        position: isThere ? Int32(position) : -1,
                        cosines: cosines[position * half..<(position + 1) * half],
                        sines: sines[position * half..<(position + 1) * half],
                        blocks: item.blocks))
            }
        }
        try device.activations.parameters.set(columns, on: device.stream)
        let longest = items.map { $0.end - 1 }.max() ?? 0
        var splits = 1
        while splits * Int(SPLIT_TOKENS) <= longest { splits *= 2 }
        try graph(.init(sequences: items.count, rowsEach: rows, splits: splits))
            .launch(on: device.stream)
        for (index, item) in items.enumerated() {
            features[item.request] = try taps?.features.narrowed(
                0, index * rows..<index * rows + item.tokens.count)
        }
        let logits = try device.activations.logits.narrowed(0, 0..<columns.count)
        guard places.count < columns.count else { return logits }
        return try logits.selecting(
            Tensor(places, shape: [places.count]).uploaded(to: device.model.device), along: 0)
    }

    private func graph(_ shape: DeviceModel.Shape) throws -> CUDAGraph {
        let pieces = shape.columns * shape.splits
        if pieces > workspace.pieces {
            // What was captured writes to the old one.
            graphs.removeAll()
            workspace = try DeviceModel.Workspace(
                device.model.configuration, pieces: max(pieces, 2 * workspace.pieces),
                on: device.model.device)
        }
        if let known = graphs[shape] { return known }
        if graphs.count >= Self.mostGraphs { graphs.removeAll() }
        func queue() throws {
            try device.queue(
                shape, workspace: workspace, taps: taps, memory: cache.memory(ofLayer:))
        }
        // Kernels are compiled and loaded outside of the capture.
        try queue()
        let graph = try device.stream.capture(queue)
        graphs[shape] = graph
        return graph
    }
}
