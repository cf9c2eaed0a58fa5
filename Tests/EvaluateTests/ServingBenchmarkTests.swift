import Artifacts
import Foundation
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

    @Test("steps with drafts of random weights, at acceptances that are drawn", arguments: [1, 3])
    func speculation(_ length: Int) throws {
        var benchmark = SpeculationBenchmark(try measured(), length: length)
        (benchmark.batches, benchmark.contexts) = ([1, 3], [1, 62])
        (benchmark.acceptances, benchmark.seconds) = ([0, 0.6, 1], 0.02)
        var (notes, last) = (0, 0)
        let cases = try withoutGradients {
            try benchmark.run { done, total, _ in
                #expect(done >= last && done < total && total == 16)
                (notes, last) = (notes + 1, done)
            }
        }
        #expect(notes == 16 && cases.count == 12)
        for it in cases {
            #expect(it.draftLength == length)
            #expect(it.plainMilliseconds > 0 && it.draftMilliseconds > 0)
            #expect(it.verifyMilliseconds > 0 && it.speculativeMilliseconds > 0)
            let most = Double(length + 1)
            switch it.acceptance {
            case 0: #expect(it.acceptanceLength == 1)
            case 1: #expect(it.acceptanceLength == most)
            default:
                // 1 + a + a² + …, of some hundred steps.
                let expected = (1 - pow(it.acceptance, most)) / (1 - it.acceptance)
                #expect(abs(it.acceptanceLength - expected) < 0.4, "\(it.acceptanceLength)")
            }
            let each = it.acceptanceLength / it.speculativeMilliseconds
            #expect(abs(it.tokensPerSecond / (1e3 * Double(it.plain.batch) * each) - 1) < 1e-9)
            #expect(abs(it.ratioToPlain / (each * it.plainMilliseconds) - 1) < 1e-9)
            #expect(it.values.count == SpeculationBenchmark.Case.columns.count)
            let read = try JSONDecoder().decode(
                SpeculationBenchmark.Case.self, from: JSONEncoder().encode(it))
            #expect(read.values == it.values)
        }
        let columns = SpeculationBenchmark.Case.columns
        #expect(columns.starts(with: DecodeBenchmark.Case.columns))
        #expect(columns.contains("speculative_tokens_per_second"))
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
