// What a decode step takes, and what it could take at best: the bytes that it must read at the bandwidth of a pure read in
// the same run.
import Artifacts
import Generate
import Models
import Tensors

/// Times decode steps of a model, as the engine runs them.
package struct DecodeBenchmark {
    package let model: CausalLanguageModel
    /// Sequences that decode together, and tokens that each has seen.
    package var batches = [1]
    package var contexts = [128]
    /// Spent on one measurement, about.
    package var seconds = 1.0

    package init(_ model: CausalLanguageModel) { self.model = model }

    package struct Case: Codable, Sendable {
        package let batch: Int
        package let context: Int
        package let stepMilliseconds: Double
        package let floorMilliseconds: Double
        /// Floor over step: 1 is the limit.
        package let ratioToFloor: Double
        package let tokensPerSecond: Double
        package let tokensPerSecondPerRequest: Double
        /// Weights once, keys and values of every sequence.
        package let bytesTouched: Int
        package let measuredBandwidth: Double
        package let peakMemoryBytes: Int

        private enum CodingKeys: String, CodingKey {
            case batch, context
            case stepMilliseconds = "step_ms"
            case floorMilliseconds = "floor_ms"
            case ratioToFloor = "ratio_to_floor"
            case tokensPerSecond = "tokens_per_second"
            case tokensPerSecondPerRequest = "tokens_per_second_per_request"
            case bytesTouched = "bytes_touched"
            case measuredBandwidth = "measured_bandwidth_tb_s"
            case peakMemoryBytes = "peak_memory_bytes"
        }
    }

    /// Memory that a bandwidth is measured on: more than caches hold.
    private static let readBytes = 512 << 20
    private static let blockTokens = 64

    /// - Parameter progress: called with the number of cases measured, and of all.
    package func run(progress: (_ done: Int, _ total: Int, _ note: String) throws -> Void) throws
        -> [Case]
    {
        var stopwatch = Stopwatch(model.device)
        stopwatch.seconds = seconds
        let host = model.device == .cpu ? try HostModel(model) : nil
        var cases: [Case] = []
        var measured: [(batch: Int, context: Int, seconds: Double, peak: Int)] = []
        for context in contexts {
            for batch in batches {
                try progress(
                    measured.count, contexts.count * batches.count,
                    "batch \(batch), context \(context)")
                let step = step(batch, context)
                let blocks = step.items.reduce(0) { $0 + $1.blocks.count }
                let runner: any StepRunner =
                    try host.map {
                        try HostRunner($0, blocks: blocks, blockTokens: Self.blockTokens)
                    }
                    ?? ModelRunner(model, blocks: blocks, blockTokens: Self.blockTokens)
                let seconds = try stopwatch.time { _ in _ = try runner.logits(of: step) }
                measured.append(
                    (batch, context, seconds, try PeakMemory.bytes(on: model.device)))
            }
        }
        // Last: what it reads counts for no peak of memory.
        let bandwidth = try bandwidth(host, stopwatch)
        for it in measured {
            let bytes = bytesTouched(it.batch, it.context)
            let floor = Double(bytes) / bandwidth
            cases.append(
                Case(
                    batch: it.batch, context: it.context, stepMilliseconds: 1e3 * it.seconds,
                    floorMilliseconds: 1e3 * floor, ratioToFloor: floor / it.seconds,
                    tokensPerSecond: Double(it.batch) / it.seconds,
                    tokensPerSecondPerRequest: 1 / it.seconds, bytesTouched: bytes,
                    measuredBandwidth: bandwidth / 1e12, peakMemoryBytes: it.peak))
        }
        return cases
    }

    /// One token of each of `batch` sequences that have seen `context`.
    private func step(_ batch: Int, _ context: Int) -> Scheduler.Step {
        let each = context / Self.blockTokens + 1
        return Scheduler.Step(
            items: (0..<batch).map { index in
                Scheduler.Item(
                    request: RequestID(index),
                    tokens: [Int32((index * 31 + 7) % model.configuration.vocabularySize)],
                    start: context, blocks: Array(index * each..<(index + 1) * each),
                    predicts: true)
            }, preempted: [])
    }

    private func bandwidth(_ host: HostModel?, _ stopwatch: Stopwatch) throws -> Double {
        guard let host else {
            let tensor = try Tensor.noise([Self.readBytes / 4], seed: 1, on: model.device)
                .converted(to: .float32)
            return Double(Self.readBytes) / (try stopwatch.time { _ in _ = try tensor.sum() })
        }
        var seconds = Double.infinity
        try host.readMemory(Self.readBytes) { read in
            seconds = try stopwatch.time { _ in read() }
        }
        return Double(Self.readBytes) / seconds
    }

    /// Linear layers, head and norms once; of the embedding, where the head is another matrix, a row.
    private func bytesTouched(_ batch: Int, _ context: Int) -> Int {
        let configuration = model.configuration
        let weights = model.linearParameterCount + model.ends.head.count
        let cached = model.device == .cpu ? 4 : model.ends.embedding.elementType.byteCount
        return weights * model.ends.embedding.elementType.byteCount
            + 2 * batch * (context + 1) * configuration.layerCount * configuration.keyValueWidth
            * cached
    }
}
