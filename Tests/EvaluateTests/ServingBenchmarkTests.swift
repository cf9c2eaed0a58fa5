import Artifacts
import Models
import Tensors
import Testing

@testable import Evaluate

@Suite("Benchmarks of the engine")
struct ServingBenchmarkTests {
    private func measured(_ share: Double? = nil) throws -> MeasuredModel {
        let configuration = try BenchmarkMemoryTests.configuration()
        let random =
            try share.map {
                try Models.RandomModel(
                    configuration,
                    compressedBy: CompressionPlan(
                        share: $0, as: .lowRank, of: configuration, type: .float32))
            } ?? Models.RandomModel(configuration)
        return try MeasuredModel(CausalLanguageModel(.random(random), configuration))
    }

    @Test("percentiles are numbers of the list")
    func percentiles() {
        let hundred = Percentiles((1...100).reversed().map(Double.init))
        #expect((hundred.p50, hundred.p90, hundred.p99) == (50, 90, 99))
        let three = Percentiles([5, 1, 3])
        #expect((three.p50, three.p90, three.p99) == (3, 5, 5))
        #expect(Percentiles([]).p99 == 0)
    }

    @Test("a prompt's operations, counted token by token")
    func operations() throws {
        let measured = try measured()
        let benchmark = PrefillBenchmark(measured)
        var expected = 2.0 * 64 * 100
        for position in 0..<7 {
            expected += 2 * Double(measured.model.linearParameterCount)
            // Two layers of four heads of 16: a product each with keys and with values.
            expected += Double(2 * 2 * 2 * 64 * (position + 1))
        }
        #expect(benchmark.operations(7) == expected)
    }

    @Test("prompts in chunks, of which the last may be short", arguments: [nil, 0.5])
    func prefill(_ share: Double?) throws {
        var benchmark = PrefillBenchmark(try measured(share))
        benchmark.tokens = [1, 70, 128]
        benchmark.chunk = 32
        benchmark.seconds = 0.001
        var notes = 0
        let cases = try withoutGradients { try benchmark.run { _, _, _ in notes += 1 } }
        #expect(notes == 3 && cases.map(\.tokens) == [1, 70, 128])
        #expect(cases.map(\.chunk) == [1, 32, 32])
        for it in cases {
            #expect(it.variant == (share == nil ? .dense : .compressed))
            #expect(it.milliseconds > 0)
            #expect(abs(it.tokensPerSecond * it.milliseconds / 1e3 - Double(it.tokens)) < 1e-6)
            let operations = benchmark.operations(it.tokens)
            #expect(abs(it.teraflops * 1e9 * it.milliseconds / operations - 1) < 1e-9)
            #expect(it.values.count == PrefillBenchmark.Case.columns.count)
        }
    }

    @Test("every request is served whole, also where fewer come than have room")
    func serve() throws {
        for (requests, concurrency) in [(5, 2), (2, 2), (1, 3)] {
            let arrivals = Arrivals(
                closed: concurrency, count: requests, promptTokens: 70, outputTokens: 6)
            let benchmark = ServeBenchmark(
                try measured(0.5), arrivals, concurrency: min(requests, concurrency))
            var ended: [Int] = []
            let result = try withoutGradients {
                try benchmark.run { done, _ in ended.append(done) }
            }
            #expect(ended == ended.sorted() && result.requests == requests)
            #expect(result.preemptions == 0)
            let tokens = result.outputTokensPerSecond * result.seconds
            #expect(abs(tokens - Double(requests * 6)) < 1e-6)
            #expect(result.firstToken50 > 0 && result.firstToken99 <= 1e3 * result.seconds)
            #expect(result.interToken50 > 0 && result.interToken50 <= result.interToken99)
        }
    }

    @Test("requests that come by themselves wait until they come, and no longer than they must")
    func openLoop() throws {
        let arrivals = Arrivals(
            rate: 50, count: 6, promptTokens: 70, outputTokens: 3, seed: 3)
        let benchmark = ServeBenchmark(try measured(0.5), arrivals, concurrency: 2)
        let result = try withoutGradients { try benchmark.run { _, _ in } }
        #expect(result.requests == 6)
        #expect(result.seconds >= arrivals.requests[5].time)
        let tokens = result.outputTokensPerSecond * result.seconds
        #expect(abs(tokens - 18) < 1e-6)
        // The time that a request waits for a place counts.
        #expect(result.firstToken50 > 0)
    }
}
