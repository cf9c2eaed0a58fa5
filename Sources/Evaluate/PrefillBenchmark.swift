// How fast prompts are read, which is bound by arithmetic: beside the tokens stand the floating-point operations per second
// that they amount to.
import Artifacts
import Dispatch
import Foundation
import Generate
import Models
import Tensors

/// Times prompts of one sequence, in chunks as the engine computes them.
package struct PrefillBenchmark {
    package let measured: MeasuredModel
    /// Lengths of prompts.
    package var tokens = [8_192]
    /// Tokens of a step at most.
    package var chunk = Scheduler.Limits().stepTokens
    /// Spent on one measurement, about; at least a prompt.
    package var seconds = 1.0

    private var model: CausalLanguageModel { measured.model }

    package init(_ measured: MeasuredModel) { self.measured = measured }

    package struct Case: BenchmarkRow {
        package let variant: ModelVariant
        package let keep: Double
        package let kv: String
        package let tokens: Int
        package let chunk: Int
        /// Until the logits behind the prompt are there: the time to the first token.
        package let milliseconds: Double
        package let tokensPerSecond: Double
        /// 10¹² operations per second, by `operations`.
        package let teraflops: Double
        package let peakMemoryBytes: Int

        package enum CodingKeys: String, CodingKey, CaseIterable {
            case variant, keep, kv, tokens, chunk
            case milliseconds = "prefill_ms"
            case tokensPerSecond = "tokens_per_second"
            case teraflops = "tflops"
            case peakMemoryBytes = "peak_memory_bytes"
        }

        package func text(of column: CodingKeys) -> String {
            switch column {
            case .variant: variant.rawValue
            case .keep: String(format: "%.4f", keep)
            case .kv: kv
            case .tokens: "\(tokens)"
            case .chunk: "\(chunk)"
            case .milliseconds: String(format: "%.3f", milliseconds)
            case .tokensPerSecond: String(format: "%.1f", tokensPerSecond)
            case .teraflops: String(format: "%.4f", teraflops)
            case .peakMemoryBytes: "\(peakMemoryBytes)"
            }
        }
    }

    /// What the longest prompt needs, by `BenchmarkMemory`.
    package static func load(tokens: [Int], chunk: Int) -> BenchmarkMemory.Load {
        let most = tokens.max() ?? 1
        return BenchmarkMemory.Load(
            sequences: 1, tokens: most, stepTokens: min(chunk, most), predictions: 1)
    }

    /// - Parameter progress: called with the number of cases measured, and of all.
    package func run(progress: (_ done: Int, _ total: Int, _ note: String) throws -> Void) throws
        -> [Case]
    {
        let facts = measured.facts
        return try tokens.enumerated().map { index, tokens in
            try progress(index, self.tokens.count, "\(tokens) tokens")
            let steps = steps(tokens)
            let runner = try measured.runner(blocks: MeasuredModel.blocks(for: tokens))
            // The first steps allocate and choose algorithms: by a step's tokens, of which only
            // the last has others; on a GPU, for attention, by those before them too.
            let needsAll = model.device != .cpu || steps.count < 3
            let first = needsAll ? steps : [steps[0], steps[steps.count - 1]]
            for step in first { _ = try runner.logits(of: step) }
            let seconds = try median { try read(steps, runner) }
            return Case(
                variant: facts.variant, keep: facts.keep, kv: facts.kv, tokens: tokens,
                chunk: min(chunk, tokens), milliseconds: 1e3 * seconds,
                tokensPerSecond: Double(tokens) / seconds,
                teraflops: operations(tokens) / seconds / 1e12,
                peakMemoryBytes: try PeakMemory.bytes(on: model.device))
        }
    }

    /// 2 per linear parameter and token, 2 per value of the head once, and 4 per head dimension of every pair of a query
    /// and a key that it sees. Of a network that is multiplied out for many tokens the work is more than that.
    func operations(_ tokens: Int) -> Double {
        let configuration = model.configuration
        var pairs = 0.0
        for window in configuration.slidingWindows {
            let full = min(tokens, window ?? tokens)
            pairs += Double(full * (full + 1) / 2) + Double((tokens - full) * full)
        }
        return 2 * Double(model.linearParameterCount) * Double(tokens)
            + 2 * Double(model.ends.head.count) + 4 * pairs * Double(configuration.queryWidth)
    }

    private func steps(_ tokens: Int) -> [Scheduler.Step] {
        stride(from: 0, to: tokens, by: chunk).map { start in
            let end = min(tokens, start + chunk)
            let item = Scheduler.Item(
                request: RequestID(0),
                tokens: (start..<end).map {
                    Int32(($0 * 7_919 + 11) % model.configuration.vocabularySize)
                }, start: start, blocks: Array(0..<MeasuredModel.blocks(for: end)),
                predicts: end == tokens)
            return Scheduler.Step(items: [item], preempted: [])
        }
    }

    /// Seconds until the logits behind the last chunk are on the host.
    private func read(_ steps: [Scheduler.Step], _ runner: any StepRunner) throws -> Double {
        try TorchRuntime.synchronize(model.device)
        let start = DispatchTime.now().uptimeNanoseconds
        for step in steps.dropLast() { _ = try runner.logits(of: step) }
        let logits = try runner.logits(of: steps[steps.count - 1]).elements(as: Float.self)
        let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
        guard logits.allSatisfy(\.isFinite) else { throw GenerateError.notFinite }
        return seconds
    }

    private func median(_ measure: () throws -> Double) throws -> Double {
        var times: [Double] = []
        repeat { times.append(try measure()) } while times.reduce(0, +) < seconds
        return times.sorted()[times.count / 2]
    }
}
