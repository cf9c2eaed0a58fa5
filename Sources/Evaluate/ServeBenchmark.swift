// What requests see when several are served at once: a closed loop over scheduler and runner, which are what the engine
// is made of. Text takes no part in it, so models without a tokenizer take the same path as those with one.
import Artifacts
import Dispatch
import Foundation
import Generate
import Models
import Tensors

/// Serves requests of random prompts as they come; each token is the likeliest one, and no answer ends before its length.
package struct ServeBenchmark {
    package let measured: MeasuredModel
    package let arrivals: Arrivals
    /// Requests at once; more wait.
    package let concurrency: Int
    /// Blocks of the cache; `nil`: as many as the requests at once come to need.
    package var blocks: Int?
    /// Bytes of the host that may hold what requests that gave their blocks back had computed.
    package var spill = 0
    /// Of the prompts.
    package var seed: UInt64 = 0

    private var model: CausalLanguageModel { measured.model }

    package init(_ measured: MeasuredModel, _ arrivals: Arrivals, concurrency: Int) {
        (self.measured, self.arrivals, self.concurrency) = (measured, arrivals, concurrency)
    }

    package struct Result: BenchmarkRow {
        package let variant: ModelVariant
        package let keep: Double
        package let kv: String
        package let requests: Int
        package let concurrency: Int
        /// Of the longest.
        package let promptTokens: Int
        package let outputTokens: Int
        package let seconds: Double
        /// Of all requests together.
        package let outputTokensPerSecond: Double
        /// The mean over requests, from submission to the last token.
        package let tokensPerSecondPerRequest: Double
        /// Percentiles of the times from submission to the first token.
        package let firstToken50: Double
        package let firstToken90: Double
        package let firstToken99: Double
        /// And between two tokens of a request.
        package let interToken50: Double
        package let interToken90: Double
        package let interToken99: Double
        /// And of the mean time per token behind a request's first.
        package let perToken50: Double
        package let perToken90: Double
        package let perToken99: Double
        /// Times that a request had to give its blocks back.
        package let preemptions: Int
        /// Tokens whose keys and values came back from the host's memory.
        package let restoredTokens: Int
        package let peakMemoryBytes: Int
    }

    /// What the requests need, by `BenchmarkMemory`.
    package static func load(
        _ arrivals: Arrivals, concurrency: Int
    ) -> BenchmarkMemory.Load {
        BenchmarkMemory.Load(
            sequences: concurrency, tokens: arrivals.mostTokens,
            stepTokens: limits(concurrency).stepTokens, predictions: concurrency)
    }

    private static func limits(_ concurrency: Int) -> Scheduler.Limits {
        var limits = Scheduler.Limits()
        limits.requests = concurrency
        limits.waiting = .max
        limits.stepTokens = max(limits.stepTokens, concurrency)
        return limits
    }

    /// - Parameter progress: called with the number of requests that have ended, and of all.
    package func run(progress: (_ done: Int, _ total: Int) throws -> Void) throws -> Result {
        let each = MeasuredModel.blocks(for: arrivals.mostTokens)
        let runner = try measured.executor.runner(
            blocks: max(each, blocks ?? concurrency * each), spill: spill, noise: 5)
        // The first steps allocate and choose algorithms: as many requests as run at once, of two tokens each.
        let first = Arrivals(
            closed: concurrency, count: concurrency, promptTokens: arrivals.mostPromptTokens,
            outputTokens: min(2, arrivals.mostOutputTokens))
        var warming = Loop(self, runner, first)
        try warming.run { _, _ in }
        var loop = Loop(self, runner, arrivals)
        try loop.run(progress: progress)
        return loop.result(measured.facts, peak: try PeakMemory.bytes(on: model.device))
    }

    /// One run of requests through a scheduler of its own.
    private struct Loop {
        let benchmark: ServeBenchmark
        let runner: any StepRunner
        let arrivals: Arrivals
        var scheduler: Scheduler
        var random: RandomSource
        var times: [RequestID: [UInt64]] = [:]
        /// Of submission.
        var begun: [RequestID: UInt64] = [:]
        var start: UInt64 = 0
        var end: UInt64 = 0

        init(_ benchmark: ServeBenchmark, _ runner: any StepRunner, _ arrivals: Arrivals) {
            (self.benchmark, self.runner, self.arrivals) = (benchmark, runner, arrivals)
            scheduler = Scheduler(
                blocks: runner.blocks, blockTokens: runner.blockTokens,
                limits: ServeBenchmark.limits(benchmark.concurrency), spill: runner.spillBlocks)
            random = RandomSource(seed: benchmark.seed)
        }

        private var now: UInt64 { DispatchTime.now().uptimeNanoseconds }

        mutating func run(progress: (_ done: Int, _ total: Int) throws -> Void) throws {
            start = now
            let count = arrivals.requests.count
            if case .closed(let most) = arrivals.pace {
                for _ in 0..<min(count, most) { try submit(at: now) }
            }
            var done = 0
            while done < count {
                try submitDue()
                try progress(done, count)
                guard let step = scheduler.next() else { continue }
                let predicted = try predictions(of: step)
                let time = now
                for id in predicted.keys { times[id, default: []].append(time) }
                for _ in scheduler.finish(predicted.mapValues { [$0] }) {
                    done += 1
                    if case .closed = arrivals.pace, begun.count < count { try submit(at: now) }
                }
            }
            end = now
        }

        /// Submits what has come by now in an open loop; where nothing is left to compute, waits for the next that comes.
        private mutating func submitDue() throws {
            if case .closed = arrivals.pace { return }
            while begun.count < arrivals.requests.count {
                let due = start + UInt64(arrivals.requests[begun.count].time * 1e9)
                let time = now
                if due > time {
                    guard scheduler.isIdle else { return }
                    // Not for long: the caller may be asked to stop.
                    Thread.sleep(forTimeInterval: min(0.1, Double(due - time) / 1e9))
                    if now < due { return }
                }
                try submit(at: due)
            }
        }

        /// - Parameter time: when it came.
        private mutating func submit(at time: UInt64) throws {
            let vocabulary = UInt64(benchmark.model.configuration.vocabularySize)
            let request = arrivals.requests[begun.count]
            let prompt = (0..<request.promptTokens).map { _ in Int32(random.next() % vocabulary) }
            let id = RequestID(begun.count)
            begun[id] = time
            try scheduler.add(id, prompt: prompt, generated: request.outputTokens)
        }

        /// The likeliest next token of the items that predict.
        private func predictions(of step: Scheduler.Step) throws -> [RequestID: Int32] {
            let wanted = step.items.filter(\.predicts).map(\.request)
            let greedy = TokenChoice(options: .init(), seen: [], uniform: 0)
            let predictions = try runner.predictions(of: step, wanted.map { _ in greedy })
            return try Dictionary(
                uniqueKeysWithValues: zip(wanted, predictions).map { id, prediction in
                    guard case .token(let token) = prediction else { throw GenerateError.notFinite }
                    return (id, Int32(token))
                })
        }

        func result(_ facts: MeasuredModel.Facts, peak: Int) -> Result {
            func milliseconds(_ from: UInt64, _ to: UInt64) -> Double { Double(to - from) / 1e6 }
            var (first, gaps, rates, means) = ([Double](), [Double](), [Double](), [Double]())
            for (id, times) in times {
                guard let submitted = begun[id] else { continue }
                first.append(milliseconds(submitted, times[0]))
                gaps += zip(times, times.dropFirst()).map(milliseconds)
                if times.count > 1 {
                    means.append(
                        milliseconds(times[0], times[times.count - 1]) / Double(times.count - 1))
                }
                rates.append(
                    1e3 * Double(times.count) / milliseconds(submitted, times[times.count - 1]))
            }
            let seconds = milliseconds(start, end) / 1e3
            let (ttft, itl, tpot) = (Percentiles(first), Percentiles(gaps), Percentiles(means))
            let tokens = times.values.reduce(0) { $0 + $1.count }
            return Result(
                variant: facts.variant, keep: facts.keep, kv: facts.kv, requests: times.count,
                concurrency: benchmark.concurrency, promptTokens: arrivals.mostPromptTokens,
                outputTokens: arrivals.mostOutputTokens, seconds: seconds,
                outputTokensPerSecond: Double(tokens) / seconds,
                tokensPerSecondPerRequest: rates.reduce(0, +) / Double(max(1, rates.count)),
                firstToken50: ttft.p50, firstToken90: ttft.p90, firstToken99: ttft.p99,
                interToken50: itl.p50, interToken90: itl.p90, interToken99: itl.p99,
                perToken50: tpot.p50, perToken90: tpot.p90, perToken99: tpot.p99,
                preemptions: scheduler.counts.preemptions,
                restoredTokens: scheduler.counts.restoredTokens, peakMemoryBytes: peak)
        }
    }
}

extension ServeBenchmark.Result {
    package enum CodingKeys: String, CodingKey, CaseIterable {
        case variant, keep, kv, requests, concurrency
        case promptTokens = "prompt_tokens"
        case outputTokens = "output_tokens"
        case seconds
        case outputTokensPerSecond = "output_tokens_per_second"
        case tokensPerSecondPerRequest = "tokens_per_second_per_request"
        case firstToken50 = "ttft_p50_ms"
        case firstToken90 = "ttft_p90_ms"
        case firstToken99 = "ttft_p99_ms"
        case interToken50 = "itl_p50_ms"
        case interToken90 = "itl_p90_ms"
        case interToken99 = "itl_p99_ms"
        case perToken50 = "tpot_p50_ms"
        case perToken90 = "tpot_p90_ms"
        case perToken99 = "tpot_p99_ms"
        case preemptions
        case restoredTokens = "restored_tokens"
        case peakMemoryBytes = "peak_memory_bytes"
    }

    package func text(of column: CodingKeys) -> String {
        switch column {
        case .variant: variant.rawValue
        case .keep: String(format: "%.4f", keep)
        case .kv: kv
        case .requests: "\(requests)"
        case .concurrency: "\(concurrency)"
        case .promptTokens: "\(promptTokens)"
        case .outputTokens: "\(outputTokens)"
        case .seconds: String(format: "%.3f", seconds)
        case .outputTokensPerSecond: String(format: "%.1f", outputTokensPerSecond)
        case .tokensPerSecondPerRequest: String(format: "%.2f", tokensPerSecondPerRequest)
        case .firstToken50: String(format: "%.3f", firstToken50)
        case .firstToken90: String(format: "%.3f", firstToken90)
        case .firstToken99: String(format: "%.3f", firstToken99)
        case .interToken50: String(format: "%.3f", interToken50)
        case .interToken90: String(format: "%.3f", interToken90)
        case .interToken99: String(format: "%.3f", interToken99)
        case .perToken50: String(format: "%.3f", perToken50)
        case .perToken90: String(format: "%.3f", perToken90)
        case .perToken99: String(format: "%.3f", perToken99)
        case .preemptions: "\(preemptions)"
        case .restoredTokens: "\(restoredTokens)"
        case .peakMemoryBytes: "\(peakMemoryBytes)"
        }
    }
}
