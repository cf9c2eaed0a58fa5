import Artifacts
import Models
import Tensors
import Testing
import Text

@testable import Generate

/// Runs a model, but for what it is told to do to some requests.
private final class FaultyRunner: StepRunner {
    struct Fault: Error {}

    let inner: ModelRunner
    /// Steps, from 0, that fail.
    var failing: Set<Int> = []
    /// Requests whose logits are not numbers.
    var ruined: Set<RequestID> = []
    private(set) var steps = 0
    private(set) var mostItems = 0

    init(_ model: CausalLanguageModel, blocks: Int, blockTokens: Int, spill: Int = 0) throws {
        inner = try ModelRunner(model, blocks: blocks, blockTokens: blockTokens, spill: spill)
    }

    var spillBlocks: Int { inner.spillBlocks }

    func scores(of request: RequestID) -> [TokenLogprobs] { inner.scores(of: request) }

    var blocks: Int { inner.blocks }
    var blockTokens: Int { inner.blockTokens }

    func logits(of step: Scheduler.Step) throws -> Tensor {
        defer { steps += 1 }
        mostItems = max(mostItems, step.items.count)
        if failing.contains(steps) { throw Fault() }
        let logits = try inner.logits(of: step)
        for (index, item) in step.items.filter(\.predicts).enumerated()
        where ruined.contains(item.request) {
            let row = try logits.narrowed(0, index..<index + 1)
            try row.assign(row * Double.nan)
        }
        return logits
    }
}

@Suite("Engine on the shipped model")
struct EngineTests {
    private let model: CausalLanguageModel
    private let tokenizer: Tokenizer

    init() throws {
        model = try CausalLanguageModel(
            Checkpoint(TestData.tiny), ModelConfiguration(folder: TestData.tiny))
        tokenizer = try Tokenizer(path: TestData.tiny)
    }

    /// A dozen requests, some with the same beginning, greedy ones and others.
    private var wishes: [(prompt: [Int], options: Generator.Options)] {
        let texts = [
            "The history of the city", "The history of the city began", "In the year 1850 a",
            "Water is", "The history of the city and of the river that runs through it",
            "She opened the door and",
        ]
        return (0..<12).map { number in
            var options = Generator.Options()
            options.maxTokens = 5 + 3 * number
            options.endsAtEndOfText = false
            options.sampling.temperature = number % 2 == 0 ? 0 : 1
            options.sampling.seed = UInt64(number)
            return (tokenizer.encode(texts[number % texts.count]).map(Int.init), options)
        }
    }

    private func engine(_ runner: any StepRunner, requests: Int = 5, stepTokens: Int = 24) -> Engine
    {
        var limits = Scheduler.Limits()
        (limits.requests, limits.stepTokens, limits.promptTokens) = (requests, stepTokens, 7)
        return Engine(runner, model.configuration, tokenizer: tokenizer, limits: limits)
    }

    /// Runs to the end.
    private func outcomes(
        _ engine: Engine, _ each: (Int) -> Void = { _ in }
    ) -> (
        results: [RequestID: Generator.Result], texts: [RequestID: String],
        failed: [RequestID: any Error]
    ) {
        var results: [RequestID: Generator.Result] = [:]
        var texts: [RequestID: String] = [:]
        var failed: [RequestID: any Error] = [:]
        var steps = 0
        while !engine.isIdle {
            for event in engine.step() {
                switch event {
                case .text(let id, let piece, _): texts[id, default: ""] += piece
                case .started, .logprobs, .guessed: break
                case .finished(let id, let result): results[id] = result
                case .failed(let id, let error): failed[id] = error
                }
            }
            each(steps)
            steps += 1
        }
        return (results, texts, failed)
    }

    @Test(
        "requests that run together get what each gets alone, also when blocks run out, and when they go to the host",
        arguments: [0, 3, 30])
    func together(spill: Int) throws {
        // Twelve requests of up to 50 tokens in 9 blocks of 8.
        let runner = try FaultyRunner(model, blocks: 9, blockTokens: 8, spill: spill)
        let engine = engine(runner)
        let ids = try wishes.map { try engine.submit($0.prompt, $0.options) }
        let (results, texts, failed) = outcomes(engine)
        #expect(failed.isEmpty)
        #expect(runner.mostItems == 5)
        #expect(engine.scheduler.counts.preemptions > 0 && engine.scheduler.counts.cacheHits > 0)
        #expect((engine.scheduler.counts.restoredTokens > 0) == (spill > 0))
        #expect(engine.scheduler.pool.inUse == 0)
        let alone = Generator(model: model, tokenizer: tokenizer)
        for (id, wish) in zip(ids, wishes) {
            let expected = try alone.generate(wish.prompt, wish.options)
            #expect(results[id]?.tokens == expected.tokens)
            #expect(results[id]?.text == expected.text && texts[id] == expected.text)
            #expect(results[id]?.finishReason == .length)
        }
    }

    @Test("a cancelled request's blocks are free at once, and others do not notice")
    func cancelled() throws {
        let runner = try FaultyRunner(model, blocks: 64, blockTokens: 8)
        let engine = engine(runner, requests: 12, stepTokens: 64)
        let ids = try wishes.map { try engine.submit($0.prompt, $0.options) }
        let (results, _, failed) = outcomes(engine) { step in
            if step == 6 { ids.prefix(6).forEach { engine.cancel($0) } }
        }
        #expect(failed.isEmpty && engine.scheduler.pool.inUse == 0)
        #expect(
            Set(results.keys) == Set(ids.suffix(6) + ids.prefix(6).filter { results[$0] != nil }))
        #expect(results.count < 12)
        let alone = Generator(model: model, tokenizer: tokenizer)
        for (id, wish) in zip(ids, wishes).suffix(3) {
            #expect(try results[id]?.tokens == alone.generate(wish.prompt, wish.options).tokens)
        }
    }

    @Test("a step that fails fails its own requests, and those that come after it are served")
    func failedStep() throws {
        let runner = try FaultyRunner(model, blocks: 64, blockTokens: 8)
        runner.failing = [4]
        let engine = engine(runner, requests: 3)
        let ids = try wishes.map { try engine.submit($0.prompt, $0.options) }
        let (results, _, failed) = outcomes(engine)
        #expect((1...3).contains(failed.count))
        #expect(failed.values.allSatisfy { $0 is FaultyRunner.Fault })
        #expect(results.count + failed.count == ids.count)
        #expect(engine.scheduler.pool.inUse == 0)
        let alone = Generator(model: model, tokenizer: tokenizer)
        for (id, wish) in zip(ids, wishes).suffix(3) {
            #expect(try results[id]?.tokens == alone.generate(wish.prompt, wish.options).tokens)
        }
    }

    @Test("predictions that are no numbers fail the request that has them")
    func notFinite() throws {
        let runner = try FaultyRunner(model, blocks: 64, blockTokens: 8)
        let engine = engine(runner, requests: 12, stepTokens: 64)
        let ids = try wishes.map { try engine.submit($0.prompt, $0.options) }
        runner.ruined = [ids[2]]
        let (results, _, failed) = outcomes(engine)
        #expect(Array(failed.keys) == [ids[2]])
        #expect(failed[ids[2]].map { "\($0)" }?.contains("not finite") == true)
        #expect(results.count == 11)
    }
}
