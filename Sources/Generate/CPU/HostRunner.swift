// Decoding on a CPU is bound by the bytes of the weights, if nothing else takes time: a step through libtorch is some 400
// operations of some microseconds each. Here it is a few products per block, on threads that wait for one another in
// less than a microsecond. Prompts, which are bound by arithmetic, go through libtorch.
import Artifacts
import CDecode
import Models
import Tensors

/// Runs a model on the CPU.
package final class HostRunner: StepRunner {
    private let host: HostModel
    private let cache: PagedCache
    private let spill: SpillMemory
    private let prompts: ModelRunner
    private let activations = Scratch()
    private let scratch = Scratch()
    /// Layers whose inputs a draft model reads.
    private let tapped: [Int]
    private var features: [RequestID: Tensor] = [:]

    package init(
        _ host: HostModel, blocks: Int, blockTokens: Int = 64, spill: Int = 0,
        noise: UInt64? = nil, tapping tapped: [Int] = []
    ) throws {
        self.host = host
        self.tapped = tapped
        cache = try PagedCache(
            host.model.configuration, blocks: blocks, blockTokens: blockTokens, as: .float32,
            on: .cpu, noise: noise)
        self.spill = try SpillMemory(of: cache, blocks: spill)
        prompts = ModelRunner(host.model, cache, tapping: tapped)
    }

    package var blocks: Int { cache.blocks }
    package var blockTokens: Int { cache.blockTokens }
    package var spillBlocks: Int { spill.blocks }

    package func features(of request: RequestID) -> Tensor? { features[request] }

    package func scores(of request: RequestID) -> [TokenLogprobs] { prompts.scores(of: request) }

    package func logits(of step: Scheduler.Step) throws -> Tensor {
        try spill.transfer(for: step)
        features = [:]
        let vocabulary = host.head.rows
        func rows(_ values: [Float]) -> [ArraySlice<Float>] {
            stride(from: 0, to: values.count, by: vocabulary).map {
                values[$0..<$0 + vocabulary]
            }
        }
        let found = try step.rows(
            read: { items in
                let logits = try prompts.logits(of: .init(items: items, preempted: []))
                for item in items { features[item.request] = prompts.features(of: item.request) }
                return try rows(logits.elements(as: Float.self))
            }, decode: { try rows(decode($0)) })
        return try Tensor(found.flatMap { $0 }, shape: [found.count, vocabulary])
    }

    /// Logits behind the tokens of each item, `[tokens, vocabulary]`: a drafted token is computed as any other, so that
    /// its bits are those that it would have alone.
    private func decode(_ items: [Scheduler.Item]) throws -> [Float] {
        let configuration = host.model.configuration
        let tokens = items.flatMap(\.tokens)
        let (batch, hidden) = (tokens.count, configuration.hiddenSize)
        let width = HostBlock.Activations.width(configuration)
        let a = HostBlock.Activations(
            activations.reserve(batch * width), configuration, batch: batch)
        for (row, token) in tokens.enumerated() {
            host.embedding.copyRow(Int(token), to: a.x + row * hidden)
        }
        var inputs: [Int: Tensor] = [:]
        try withSequences(items) { sequences in
            for (layer, block) in host.blocks.enumerated() {
                if tapped.contains(layer) {
                    inputs[layer] = try Tensor(
                        Array(UnsafeBufferPointer(start: a.x, count: batch * hidden)),
                        shape: [batch, hidden])
                }
                try withMemory(of: layer) { memory in
                    try block.run(a, sequences, memory, host.pool, scratch)
                }
            }
        }
        if !tapped.isEmpty {
            let all = try Tensor.concatenated(tapped.compactMap { inputs[$0] }, along: 1)
            var offset = 0
            for item in items {
                features[item.request] = try all.narrowed(0, offset..<offset + item.tokens.count)
                offset += item.tokens.count
            }
        }
        cd_rms_norm(
            host.pool.raw, a.x, host.norm, a.normalized, Int64(batch), Int64(hidden),
            configuration.normEpsilon)
        return [Float](unsafeUninitializedCapacity: batch * host.head.rows) { buffer, count in
            cd_linear(
                host.pool.raw, host.head.raw, a.normalized, Int64(hidden), buffer.baseAddress,
                Int64(host.head.rows), nil, Int64(batch), false)
            count = batch * host.head.rows
        }
    }

    /// Lends each token's blocks, and the angles of its position, to C.
    private func withSequences(
        _ items: [Scheduler.Item], _ body: ([cd_sequence]) throws -> Void
    ) throws {
        let angles = try host.model.rotary.angles(at: items.flatMap { $0.start..<$0.end })
        try HostSequences(items.map { ($0.start, $0.tokens.count, $0.blocks) }, angles).lend(body)
    }

    private func withMemory(of layer: Int, _ body: (HostBlock.Memory) throws -> Void) throws {
        try cache.withFloats(ofLayer: layer) { keys, values in
            try body(.init(keys: keys, values: values, blockTokens: cache.blockTokens))
        }
    }
}
