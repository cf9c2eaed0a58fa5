import Artifacts
import Models
import Tensors
import Testing
import Text

@testable import Generate

@Suite("Log-probabilities of prompts")
struct PromptScoresTests {
    private let model: CausalLanguageModel
    private let tokenizer: Tokenizer

    init() throws {
        model = try CausalLanguageModel(
            Checkpoint(TestData.tiny), ModelConfiguration(folder: TestData.tiny))
        tokenizer = try Tokenizer(path: TestData.tiny)
    }

    private struct Wish {
        let prompt: [Int]
        let tokens: Int
        /// Listed beside each token of the prompt; `nil`: the prompt is not scored.
        let top: Int?

        var options: Generator.Options {
            var options = Generator.Options()
            (options.maxTokens, options.endsAtEndOfText) = (tokens, false)
            options.sampling.logprobs = top
            return options
        }
    }

    /// Prompts that begin alike and are equal, scored or not, with an answer or none.
    private var wishes: [Wish] {
        let text = "The history of the city and of the river that runs through it to the sea. "
        let prompt = tokenizer.encode(text + text).map(Int.init)
        return [
            Wish(prompt: prompt, tokens: 6, top: nil), Wish(prompt: prompt, tokens: 9, top: 3),
            Wish(prompt: prompt, tokens: 0, top: 1),
            Wish(prompt: Array(prompt.prefix(17)), tokens: 12, top: 0),
            Wish(prompt: [5], tokens: 3, top: 2), Wish(prompt: [5, 9], tokens: 0, top: 20),
            Wish(prompt: Array(prompt.dropFirst()), tokens: 5, top: nil),
            Wish(prompt: prompt, tokens: 12, top: 2),
        ]
    }

    /// What libtorch says in one pass without a cache, of the tokens from the second on.
    private func expected(_ prompt: [Int], top: Int) throws -> [TokenLogprobs] {
        let logits = try withoutGradients {
            try model.logits(Tensor(prompt, shape: [1, prompt.count])).squeezed(0)
        }
        let values = try logits.elements(as: Float.self)
        let width = logits.shape[1]
        return prompt.indices.dropFirst().map { index in
            TokenLogprobs(
                of: prompt[index], Array(values[(index - 1) * width..<index * width]), top: top)
        }
    }

    private func check(_ found: [TokenLogprobs], _ wish: Wish, top: Int) throws {
        let expected = try expected(wish.prompt, top: top)
        try #require(found.count == expected.count + wish.tokens)
        for (mine, its) in zip(found, expected) {
            #expect(mine.chosen.token == its.chosen.token)
            #expect(abs(mine.chosen.logprob - its.chosen.logprob) < 2e-4)
            try #require(mine.top.count == its.top.count)
            for (entry, other) in zip(mine.top, its.top) {
                #expect(abs(entry.logprob - other.logprob) < 2e-4)
            }
        }
    }

    private func runner(onHost: Bool, blocks: Int, spill: Int) throws -> any StepRunner {
        onHost
            ? try HostRunner(
                HostModel(model, threads: 2), blocks: blocks, blockTokens: 8, spill: spill)
            : try ModelRunner(model, blocks: blocks, blockTokens: 8, spill: spill)
    }

    @Test(
        "are those of one pass, in pieces beside others, for prompts that are cached, also when blocks run out",
        arguments: [(false, 0), (false, 30), (true, 0), (true, 30)])
    func engine(onHost: Bool, spill: Int) throws {
        var limits = Scheduler.Limits()
        (limits.requests, limits.stepTokens, limits.promptTokens) = (4, 24, 7)
        let engine = Engine(
            try runner(onHost: onHost, blocks: 12, spill: spill), model.configuration,
            tokenizer: tokenizer, limits: limits)
        var ids: [RequestID: Int] = [:]
        for (index, wish) in wishes.enumerated() {
            ids[try engine.submit(wish.prompt, wish.options, scoring: wish.top)] = index
        }
        var found: [Int: [TokenLogprobs]] = [:]
        var results: [Int: Generator.Result] = [:]
        while !engine.isIdle {
            for event in engine.step() {
                switch event {
                case .logprobs(let id, let one): found[ids[id] ?? -1, default: []].append(one)
                case .finished(let id, let result): results[ids[id] ?? -1] = result
                case .failed(_, let error): throw error
                case .started, .guessed, .text: break
                }
            }
        }
        #expect(engine.scheduler.counts.preemptions > 0 && engine.scheduler.counts.cacheHits > 0)
        #expect(engine.scheduler.pool.inUse == 0)
        let alone = Generator(model: model, tokenizer: tokenizer)
        for (index, wish) in wishes.enumerated() {
            if let top = wish.top {
                try check(found[index] ?? [], wish, top: top)
            } else {
                #expect(found[index] == nil)
            }
            let answer = try alone.generate(wish.prompt, wish.options).tokens
            #expect(results[index]?.tokens == answer && results[index]?.finishReason == .length)
        }
    }

    @Test("few rows at a time are as good as all at once")
    func slices() throws {
        let ids = (0..<40).map { 7 * $0 + 3 }
        let targets = ids.dropFirst(5).map(Int32.init)
        let states = try withoutGradients {
            var none: KVCache?
            return try model.hiddenStates(Tensor(ids, shape: [1, ids.count]), cache: &none)
                .squeezed(0).narrowed(0, 4..<39)
        }
        let item = Scheduler.Item(
            request: RequestID(3), tokens: ids.map(Int32.init), start: 0, blocks: [0],
            predicts: false,
            scoring: Scheduler.Scoring(first: 4, targets: targets, top: 2))
        #expect(item.scoredRows == 4..<39 && !item.decodes)
        func scores(_ most: Int) throws -> [TokenLogprobs] {
            try #require(
                PromptScores(model.ends, mostLogits: most).scores(of: [item], states)[RequestID(3)])
        }
        let whole = try scores(1 << 24)
        #expect(whole.map(\.chosen.token) == targets.map(Int.init))
        for most in [1, 4_096, 3 * 4_096 + 1] {
            for (mine, its) in zip(try scores(most), whole) {
                #expect(mine.chosen.token == its.chosen.token && mine.top.count == 2)
                #expect(abs(mine.chosen.logprob - its.chosen.logprob) < 1e-4)
            }
        }
    }

    @Test("a step asks for what no step before it was asked, whatever is cached or was put back")
    func scheduler() throws {
        var limits = Scheduler.Limits()
        (limits.requests, limits.stepTokens, limits.promptTokens) = (3, 8, 5)
        var scheduler = Scheduler(blocks: 8, blockTokens: 4, limits: limits, spill: 2)
        func prompt(_ id: RequestID) -> [Int32] {
            (0..<19).map { Int32(($0 * id.number) % 7) }
        }
        var scored: [RequestID: [Int32]] = [:]
        var pieces = 0
        for number in 1...6 {
            let id = RequestID(number)
            try scheduler.add(
                id, prompt: prompt(id), generated: 9, scoring: number > 2 ? 1 : nil)
        }
        while let step = scheduler.next() {
            for item in step.items {
                scored[item.request, default: []] += item.scoring?.targets ?? []
                guard let scoring = item.scoring else { continue }
                let first = item.start + scoring.first + 1
                let expected = prompt(item.request)[first..<first + scoring.targets.count]
                #expect(Array(expected) == scoring.targets)
                pieces += 1
            }
            let predicted = step.items.filter(\.predicts).map { ($0.request, [Int32(1)]) }
            _ = scheduler.finish(Dictionary(uniqueKeysWithValues: predicted))
        }
        #expect(pieces > 12, "a prompt goes through in pieces")
        #expect(scheduler.counts.preemptions > 0 && scheduler.counts.restoredTokens > 0)
        for number in 1...6 {
            let id = RequestID(number)
            #expect(scored[id] == (number > 2 ? Array(prompt(id).dropFirst()) : []))
        }
    }

    @Test("rows of a prompt on a GPU: all of a piece that is scored, else the last")
    func chunk() {
        let scoring = Scheduler.Scoring(first: 1, targets: [3, 9], top: 0)
        let items: [Scheduler.Item] = [
            .init(request: RequestID(0), tokens: [7, 8], start: 0, blocks: [4], predicts: true),
            .init(
                request: RequestID(1), tokens: [1, 2, 3, 9], start: 2, blocks: [3], predicts: true,
                scoring: scoring),
            .init(
                request: RequestID(2), tokens: [5, 6, 4], start: 0, blocks: [0], predicts: false,
                scoring: scoring),
            .init(request: RequestID(3), tokens: [5, 6], start: 0, blocks: [2], predicts: false),
        ]
        let chunk = PromptChunk(items, blockTokens: 64)
        #expect(chunk.keptRows == [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(
            chunk.keptSpans == [
                .init(piece: 0, rows: 0..<1), .init(piece: 1, rows: 1..<5),
                .init(piece: 2, rows: 5..<8),
            ])
        #expect(chunk.predictingRows == [0, 4])
        #expect(chunk.scoredRows == [2, 3, 6, 7])
    }
}
