// What a decode step takes, and what it could take at best: the bytes that it must read at the bandwidth of a pure read in
// the same run.
import Artifacts
import Foundation
import Generate
import Models
import Tensors

/// Times decode steps of a model, as the engine runs them.
package struct DecodeBenchmark {
    package let measured: MeasuredModel
    /// Sequences that decode together, and tokens that each has seen.
    package var batches = [1]
    package var contexts = [128]
    /// Spent on one measurement, about.
    package var seconds = 1.0

    private var model: CausalLanguageModel { measured.model }

    package init(_ measured: MeasuredModel) { self.measured = measured }

    package struct Case: BenchmarkRow {
        package let variant: ModelVariant
        package let keep: Double
        package let kv: String
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

        package enum CodingKeys: String, CodingKey, CaseIterable {
            case variant, keep, kv, batch, context
            case stepMilliseconds = "step_ms"
            case floorMilliseconds = "floor_ms"
            case ratioToFloor = "ratio_to_floor"
            case tokensPerSecond = "tokens_per_second"
            case tokensPerSecondPerRequest = "tokens_per_second_per_request"
            case bytesTouched = "bytes_touched"
            case measuredBandwidth = "measured_bandwidth_tb_s"
            case peakMemoryBytes = "peak_memory_bytes"
        }

        package func text(of column: CodingKeys) -> String {
            switch column {
            case .variant: variant.rawValue
            case .keep: String(format: "%.4f", keep)
            case .kv: kv
            case .batch: "\(batch)"
            case .context: "\(context)"
            case .stepMilliseconds: String(format: "%.4f", stepMilliseconds)
            case .floorMilliseconds: String(format: "%.4f", floorMilliseconds)
            case .ratioToFloor: String(format: "%.3f", ratioToFloor)
            case .tokensPerSecond: String(format: "%.1f", tokensPerSecond)
            case .tokensPerSecondPerRequest: String(format: "%.1f", tokensPerSecondPerRequest)
            case .bytesTouched: "\(bytesTouched)"
            case .measuredBandwidth: String(format: "%.4f", measuredBandwidth)
            case .peakMemoryBytes: "\(peakMemoryBytes)"
            }
        }
    }

    /// What the largest case needs, by `BenchmarkMemory`.
    package static func load(batches: [Int], contexts: [Int]) -> BenchmarkMemory.Load {
        let (batch, context) = (batches.max() ?? 1, contexts.max() ?? 1)
        return BenchmarkMemory.Load(
            sequences: batch, tokens: context + 1, stepTokens: batch, predictions: batch,
            otherBytes: MeasuredModel.readBytes)
    }

    /// - Parameter progress: called with the number of cases measured, and of all.
    package func run(progress: (_ done: Int, _ total: Int, _ note: String) throws -> Void) throws
        -> [Case]
    {
        var stopwatch = Stopwatch(model.device)
        stopwatch.seconds = seconds
        var timed: [(batch: Int, context: Int, seconds: Double, peak: Int)] = []
        for context in contexts {
            for batch in batches {
                try progress(
                    timed.count, contexts.count * batches.count,
                    "batch \(batch), context \(context)")
                let step = Self.step(
                    batch, context, vocabulary: model.configuration.vocabularySize)
                let runner = try measured.runner(
                    blocks: step.items.reduce(0) { $0 + $1.blocks.count })
                let seconds = try stopwatch.time { _ in _ = try runner.logits(of: step) }
                timed.append((batch, context, seconds, try PeakMemory.bytes(on: model.device)))
            }
        }
        // Last: what it reads counts for no peak of memory.
        let bandwidth = try measured.readBandwidth(stopwatch)
        let facts = measured.facts
        return timed.map { it in
            let bytes = bytesTouched(it.batch, it.context)
            let floor = Double(bytes) / bandwidth
            return Case(
                variant: facts.variant, keep: facts.keep, kv: facts.kv, batch: it.batch,
                context: it.context, stepMilliseconds: 1e3 * it.seconds,
                floorMilliseconds: 1e3 * floor, ratioToFloor: floor / it.seconds,
                tokensPerSecond: Double(it.batch) / it.seconds,
                tokensPerSecondPerRequest: 1 / it.seconds, bytesTouched: bytes,
                measuredBandwidth: bandwidth / 1e12, peakMemoryBytes: it.peak)
        }
    }

    /// One token of each of `batch` sequences that have seen `context`.
    static func step(_ batch: Int, _ context: Int, vocabulary: Int) -> Scheduler.Step {
        let each = MeasuredModel.blocks(for: context + 1)
        return Scheduler.Step(
            items: (0..<batch).map { index in
                Scheduler.Item(
                    request: RequestID(index),
                    tokens: [Int32((index * 31 + 7) % vocabulary)],
                    start: context, blocks: Array(index * each..<(index + 1) * each),
                    predicts: true)
            }, preempted: [])
    }

    /// Linear layers, head and norms once; of the embedding, where the head is another matrix, a row.
    private func bytesTouched(_ batch: Int, _ context: Int) -> Int {
        let configuration = model.configuration
        let weights = model.linearByteCount + model.ends.head.byteCount
        let cached = CacheMemory.byteCount(
            headDim: configuration.headDim, as: measured.executor.cacheType)
        return weights
            + 2 * batch * (context + 1) * configuration.layerCount
            * configuration.keyValueHeadCount * cached
    }
}
