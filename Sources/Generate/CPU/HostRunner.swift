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

    package init(
        _ host: HostModel, blocks: Int, blockTokens: Int = 64, spill: Int = 0,
        noise: UInt64? = nil
    ) throws {
        self.host = host
        cache = try PagedCache(
            host.model.configuration, blocks: blocks, blockTokens: blockTokens, as: .float32,
            on: .cpu, noise: noise)
        self.spill = try SpillMemory(of: cache, blocks: spill)
        prompts = ModelRunner(host.model, cache)
    }

    package var blocks: Int { cache.blocks }
    package var blockTokens: Int { cache.blockTokens }
    package var spillBlocks: Int { spill.blocks }

    package func logits(of step: Scheduler.Step) throws -> Tensor {
        try spill.transfer(for: step)
        let vocabulary = host.head.rows
        func rows(_ values: [Float]) -> [ArraySlice<Float>] {
            stride(from: 0, to: values.count, by: vocabulary).map {
                values[$0..<$0 + vocabulary]
            }
        }
        let found = try step.rows(
            read: { items in
                try rows(
                    prompts.logits(of: .init(items: items, preempted: []))
                        .elements(as: Float.self))
            }, decode: { try rows(decode($0)) })
        return try Tensor(found.flatMap { $0 }, shape: [found.count, vocabulary])
    }

    /// Logits behind one token of each item, `[items, vocabulary]`.
    private func decode(_ items: [Scheduler.Item]) throws -> [Float] {
        let configuration = host.model.configuration
        let (batch, hidden) = (items.count, configuration.hiddenSize)
        let width = HostBlock.Activations.width(configuration)
        let a = HostBlock.Activations(
            activations.reserve(batch * width), configuration, batch: batch)
        for (row, item) in items.enumerated() {
            host.embedding.copyRow(Int(item.tokens[0]), to: a.x + row * hidden)
        }
        try withSequences(items) { sequences in
            for (layer, block) in host.blocks.enumerated() {
                try withMemory(of: layer) { memory in
                    try block.run(a, sequences, memory, host.pool, scratch)
                }
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

    /// Lends the items' blocks, and the angles of their positions, to C.
    private func withSequences(
        _ items: [Scheduler.Item], _ body: ([cd_sequence]) throws -> Void
    ) throws {
        let angles = try host.model.rotary.angles(at: items.map(\.start))
        let cosines = try angles.cosines.elements(as: Float.self)
        let sines = try angles.sines.elements(as: Float.self)
        let half = host.model.configuration.headDim / 2
        let blocks = items.flatMap { $0.blocks.map(Int64.init) }
        try blocks.withUnsafeBufferPointer { blocks in
            try cosines.withUnsafeBufferPointer { cosines in
                try sines.withUnsafeBufferPointer { sines in
                    var first = 0
                    let sequences = items.enumerated().map { index, item in
                        defer { first += item.blocks.count }
                        return cd_sequence(
                            blocks: blocks.baseAddress.map { $0 + first },
                            position: Int64(item.start),
                            cosines: cosines.baseAddress.map { $0 + index * half },
                            sines: sines.baseAddress.map { $0 + index * half })
                    }
                    try body(sequences)
                }
            }
        }
    }

    private func withMemory(of layer: Int, _ body: (HostBlock.Memory) throws -> Void) throws {
        try cache.withFloats(ofLayer: layer) { keys, values in
            try body(.init(keys: keys, values: values, blockTokens: cache.blockTokens))
        }
    }
}
