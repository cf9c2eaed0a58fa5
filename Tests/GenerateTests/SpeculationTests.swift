import Artifacts
import Foundation
import Models
import Tensors
import Testing
import Text

@testable import Generate

/// Guesses by chance, or what it was told that is right, with mistakes.
private final class WildDrafter: Drafter {
    let limit = 7
    private var random = RandomSource(seed: 5)
    private let vocabulary: Int32
    /// What requests are going to say, by their number.
    var truth: [Int: [Int]] = [:]
    private let prompts: [Int: Int]

    init(vocabulary: Int, prompts: [Int: Int] = [:]) {
        (self.vocabulary, self.prompts) = (Int32(vocabulary), prompts)
    }

    func draft(behind step: Scheduler.Step, _ turns: [DraftTurn]) -> [RequestID: [Int32]] {
        var drafts: [RequestID: [Int32]] = [:]
        for turn in turns where turn.wanted > 0 {
            let count = Int.random(in: 0...turn.wanted, using: &random)
            let said = turn.tokens.count - (prompts[turn.request.number] ?? 0)
            var draft = (truth[turn.request.number] ?? []).dropFirst(said).prefix(count)
                .map(Int32.init)
            while draft.count < count { draft.append(.random(in: 0..<vocabulary, using: &random)) }
            if !draft.isEmpty, Int.random(in: 0..<3, using: &random) == 0 {
                let place = Int.random(in: draft.indices, using: &random)
                draft[place] = .random(in: 0..<vocabulary, using: &random)
            }
            drafts[turn.request] = draft
        }
        return drafts
    }

    func end(_ request: RequestID) {}
}

/// A Markov chain as a model: what follows depends on the last token alone, and is known.
private final class MarkovRunner: StepRunner {
    let blocks = 20_000
    let blockTokens = 64
    let logits: [[Float]]

    init(_ logits: [[Float]]) { self.logits = logits }

    func logits(of step: Scheduler.Step) throws -> Tensor {
        let rows = step.items.flatMap { $0.tokens.suffix($0.predictedRows) }
        return try Tensor(rows.flatMap { logits[Int($0)] }, shape: [rows.count, logits.count])
    }

    func scores(of request: RequestID) -> [TokenLogprobs] { [] }
}

@Suite("Speculation")
struct SpeculationTests {
    private let tokenizer: Tokenizer
    private let configuration: ModelConfiguration

    init() throws {
        tokenizer = try Tokenizer(path: TestData.tiny)
        configuration = try ModelConfiguration(folder: TestData.tiny)
    }

    // MARK: The same text

    private struct Wish {
        let prompt: [Int]
        let options: Generator.Options
    }

    private var wishes: [Wish] {
        let texts = [
            "The history of the city", "one two three one two three one two", "Water is",
            "She opened the door and",
        ]
        return (0..<10).map { number in
            var options = Generator.Options()
            options.maxTokens = 10 + 7 * number
            options.endsAtEndOfText = number % 5 == 4
            options.sampling.temperature = [0, 1, 0.7][number % 3]
            options.sampling.topP = number % 2 == 0 ? 1 : 0.9
            options.sampling.repetitionPenalty = number == 3 ? 1.2 : 1
            options.sampling.presencePenalty = number == 7 ? 0.5 : 0
            options.sampling.logprobs = number == 6 ? 2 : nil
            options.sampling.seed = UInt64(number)
            if number == 8 { options.stops = ["the"] }
            return Wish(
                prompt: tokenizer.encode(texts[number % texts.count]).map(Int.init),
                options: options)
        }
    }

    private func answers(
        _ runner: any StepRunner, _ drafter: (any Drafter)?, length: Int?
    ) throws -> (results: [Int: Generator.Result], counts: DraftCounts, steps: Int) {
        var limits = Scheduler.Limits()
        (limits.requests, limits.stepTokens, limits.promptTokens) = (4, 40, 9)
        let engine = Engine(
            runner, configuration, tokenizer: tokenizer, limits: limits, drafter: drafter,
            draftLength: length)
        for wish in wishes { _ = try engine.submit(wish.prompt, wish.options) }
        var (results, steps, text) = ([Int: Generator.Result](), 0, [Int: String]())
        while !engine.isIdle {
            for event in engine.step() {
                switch event {
                case .finished(let id, let result): results[id.number] = result
                case .failed(_, let error): throw error
                case .text(let id, let piece, _): text[id.number, default: ""] += piece
                case .started, .logprobs, .guessed: break
                }
            }
            steps += 1
            try #require(steps < 5_000)
        }
        for (number, result) in results { #expect(text[number, default: ""] == result.text) }
        #expect(engine.scheduler.pool.inUse == 0)
        #expect(engine.draftFault == nil)
        return (results, engine.draftCounts, steps)
    }

    @Test(
        "text is the same with any guesses, greedy or drawn, alone or with others",
        arguments: [nil, 1, 4, 7])
    func sameText(length: Int?) throws {
        // Few blocks: requests give way to one another.
        try compare(length: length, on: .cpu, blocks: 9)
    }

    /// A prompt's states have not the bits of single tokens', so nobody gives way here.
    @Test(
        "text is the same with any guesses on a GPU", .enabled(if: DeviceTestMachine.hasDevice),
        arguments: [nil, 1, 4, 7])
    func sameTextOnDevice(length: Int?) throws {
        try compare(length: length, on: .cuda(0), blocks: 64)
    }

    private func compare(length: Int?, on device: Device, blocks: Int) throws {
        let model = try CausalLanguageModel(
            Checkpoint(TestData.tiny), configuration, as: device == .cpu ? .float32 : .bfloat16,
            on: device)
        let executor = try Executor(model)
        func runner() throws -> any StepRunner { try executor.runner(blocks: blocks) }
        let plain = try answers(try runner(), nil, length: nil)
        let prompts = Dictionary(
            uniqueKeysWithValues: wishes.enumerated().map {
                ($0.offset + 1, $0.element.prompt.count)
            })
        let wild = WildDrafter(vocabulary: configuration.vocabularySize, prompts: prompts)
        wild.truth = plain.results.mapValues(\.tokens)
        let draft = try DraftModel(folder: TestData.root + "/Models/tiny-draft", for: model)
        let speculating = try executor.speculating(.init(.draft(draft)), blocks: blocks)
        let trained = try #require(speculating.drafter)
        #expect(device == .cpu ? trained is ModelDrafter : trained is DeviceDrafter)
        for (runner, drafter) in [
            (try runner(), wild), (try runner(), LookUpDrafter(limit: 7)),
            (speculating.runner, trained),
        ] as [(any StepRunner, any Drafter)] {
            let found = try answers(runner, drafter, length: length)
            #expect(found.results.count == plain.results.count)
            for (number, result) in plain.results {
                let other = try #require(found.results[number])
                #expect(other.tokens == result.tokens, "request \(number)")
                #expect(other.text == result.text && other.finishReason == result.finishReason)
            }
            #expect(found.counts.accepted > 0 && found.counts.accepted < found.counts.drafted)
            if length == 4 { #expect(found.steps < plain.steps) }
        }
    }

    @Test("a token and its draft have the bits that they have one by one")
    func sameBits() throws {
        let model = try CausalLanguageModel(Checkpoint(TestData.tiny), configuration)
        let executor = try Executor(model)
        let tokens = tokenizer.encode(
            "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it was the epoch of belief"
        )
        func item(_ range: Range<Int>, drafted: Int = 0) -> Scheduler.Step {
            Scheduler.Step(
                items: [
                    Scheduler.Item(
                        request: RequestID(1), tokens: tokens[range].map { Int32($0) },
                        start: range.lowerBound, blocks: [3, 1], predicts: true, drafted: drafted)
                ], preempted: [])
        }
        let (alone, together) = (
            try executor.runner(blocks: 4, tapping: [1, 3]),
            try executor.runner(blocks: 4, tapping: [1, 3])
        )
        for runner in [alone, together] { _ = try runner.logits(of: item(0..<9)) }
        for start in stride(from: 9, to: tokens.count - 5, by: 5) {
            var (rows, features) = ([Float](), [Float]())
            for place in start..<start + 5 {
                rows += try alone.logits(of: item(place..<place + 1)).elements(as: Float.self)
                features += try #require(try alone.features(of: RequestID(1))).elements()
            }
            let found = try together.logits(of: item(start..<start + 5, drafted: 4))
            #expect(found.shape == [5, configuration.vocabularySize])
            #expect(try found.elements(as: Float.self) == rows)
            let tapped = try #require(try together.features(of: RequestID(1)))
            #expect(tapped.shape == [5, 2 * configuration.hiddenSize])
            #expect(try tapped.elements(as: Float.self) == features)
        }
    }

    // MARK: The same distribution

    /// Upper tail of χ² with `degrees` degrees of freedom, by Wilson and Hilferty's cube root (1931).
    private static func tail(_ statistic: Double, _ degrees: Double) -> Double {
        let z =
            (pow(statistic / degrees, 1 / 3.0) - (1 - 2 / (9 * degrees)))
            / (2 / (9 * degrees)).squareRoot()
        return 0.5 * erfc(z / 2.0.squareRoot())
    }

    /// Probability of transitions as far from the chain's as these, or farther, if they were drawn from it.
    private static func likelihood(_ transitions: [[Int]], _ expected: [[Double]]) -> Double {
        var (statistic, degrees) = (0.0, 0.0)
        for (row, probabilities) in zip(transitions, expected) {
            let total = Double(row.reduce(0, +))
            for (count, probability) in zip(row, probabilities) where probability > 0 {
                let mean = total * probability
                statistic += (Double(count) - mean) * (Double(count) - mean) / mean
            }
            degrees += Double(probabilities.filter { $0 > 0 }.count - 1)
        }
        return tail(statistic, degrees)
    }

    private static let states = 8

    private static func chain() -> [[Float]] {
        var random = RandomSource(seed: 21)
        return (0..<states).map { _ in
            (0..<states).map { _ in Float(random.unit() * 4 - 2) }
        }
    }

    private static func probabilities(
        _ logits: [[Float]], _ options: SamplingOptions
    ) throws -> [[Double]] {
        let sampler = try Sampler(options)
        return logits.map { row in
            var probabilities = [Double](repeating: 0, count: row.count)
            for (token, probability) in sampler.distribution(row) {
                probabilities[token] = probability
            }
            return probabilities
        }
    }

    private static func transitions(_ tokens: [Int]) -> [[Int]] {
        var counts = Array(repeating: [Int](repeating: 0, count: states), count: states)
        for (from, to) in zip(tokens, tokens.dropFirst()) { counts[from][to] += 1 }
        return counts
    }

    /// Guesses what is likeliest in a chain, drawn with the coming chance, or the token that it likes.
    private final class ChainDrafter: Drafter {
        let limit = 3
        let logits: [[Float]]
        let obstinate: Bool

        init(_ logits: [[Float]], obstinate: Bool) {
            (self.logits, self.obstinate) = (logits, obstinate)
        }

        func draft(behind step: Scheduler.Step, _ turns: [DraftTurn]) -> [RequestID: [Int32]] {
            var drafts: [RequestID: [Int32]] = [:]
            for turn in turns {
                var last = Int(turn.tokens[turn.tokens.count - 1])
                drafts[turn.request] = turn.choices.map { choice in
                    last = obstinate ? 2 : Sampler.place(of: choice, in: logits[last])
                    return Int32(last)
                }
            }
            return drafts
        }

        func end(_ request: RequestID) {}
    }

    @Test(
        "drawn text has the model's distribution, whatever is guessed",
        arguments: [(1.0, 1.0, 0.0, false), (0.7, 0.8, 0.0, false), (1.3, 1.0, 0.15, true)])
    func sameDistribution(
        temperature: Double, topP: Double, minP: Double, obstinate: Bool
    ) throws {
        let logits = Self.chain()
        var options = Generator.Options()
        options.sampling.temperature = temperature
        (options.sampling.topP, options.sampling.minP) = (topP, minP)
        options.sampling.seed = 3
        options.endsAtEndOfText = false
        options.maxTokens = 4_000
        // Another chain than the model's.
        let guessed = logits.map { row in row.enumerated().map { $1 + ($0 % 3 == 0 ? 0.7 : 0) } }
        let drafter = ChainDrafter(guessed, obstinate: obstinate)
        let engine = Engine(
            MarkovRunner(logits), configuration, tokenizer: tokenizer, drafter: drafter,
            draftLength: 3)
        var tokens = 0
        var counts = Array(
            repeating: [Int](repeating: 0, count: Self.states), count: Self.states)
        while tokens < 340_000 {
            for seed in 0..<17 {
                options.sampling.seed = UInt64(tokens + seed)
                _ = try engine.submit([1], options)
            }
            while !engine.isIdle {
                for case .finished(_, let result) in engine.step() {
                    tokens += result.tokens.count
                    for (from, row) in Self.transitions(result.tokens).enumerated() {
                        for (to, count) in row.enumerated() { counts[from][to] += count }
                    }
                }
            }
        }
        let expected = try Self.probabilities(logits, options.sampling)
        #expect(Self.likelihood(counts, expected) > 1e-3)
        #expect(engine.draftCounts.accepted > 0)
        #expect(engine.draftCounts.accepted < engine.draftCounts.drafted)
        // What a cut-off leaves out is never drawn.
        for (row, probabilities) in zip(counts, expected) {
            for (count, probability) in zip(row, probabilities) where probability == 0 {
                #expect(count == 0)
            }
        }
    }

    @Test("a rule that takes likely guesses unasked is told from the right one")
    func biasedRule() throws {
        let logits = Self.chain()
        var options = SamplingOptions()
        options.temperature = 1
        let expected = try Self.probabilities(logits, options)
        func text(biased: Bool) throws -> [Int] {
            var sampler = try Sampler(options)
            var tokens = [1]
            while tokens.count < 340_000 {
                let row = logits[tokens[tokens.count - 1]]
                let drawn = sampler.next(row)
                // A guess that is nearly as likely as the likeliest is taken one time in ten.
                let guess = row.indices.max { row[$0] < row[$1] } ?? 0
                tokens.append(biased && tokens.count % 10 == 0 ? guess : drawn)
            }
            return tokens
        }
        #expect(Self.likelihood(Self.transitions(try text(biased: false)), expected) > 1e-3)
        #expect(Self.likelihood(Self.transitions(try text(biased: true)), expected) < 1e-6)
    }

    // MARK: Lengths and look-up

    @Test("the length is the one with the most tokens a second")
    func length() {
        // A machine on which a row more costs little of one sequence and much of 32.
        func seconds(_ sequences: Int, _ rows: Int) -> Double {
            sequences == 1 ? 1 + 0.02 * Double(rows) : 1 + 0.9 * Double(rows)
        }
        func settled(
            _ sequences: Int, right: Double, steps: Int = 2_000, slowWithDrafts: Int = 1
        ) -> [Int] {
            var (length, random) = (DraftLength(limit: 6), RandomSource(seed: 1))
            var (chosen, met): ([Int], [Int: Int]) = ([], [:])
            for _ in 0..<steps {
                let wanted = length.wanted(sequences: sequences)
                chosen.append(wanted)
                var accepted = 0
                while accepted < wanted, random.unit() < right { accepted += 1 }
                if wanted > 0 { length.learn(drafted: wanted, accepted: accepted) }
                // Every length is slow at first: a graph is captured.
                met[wanted, default: 0] += 1
                let slow = met[wanted, default: 0] <= (wanted > 0 ? slowWithDrafts : 1) ? 100.0 : 1
                length.learn(
                    drafted: wanted, sequences: sequences, seconds: 0.03 * Double(wanted) * slow)
                length.learn(
                    sequences: sequences, rows: sequences * (wanted + 1),
                    seconds: seconds(sequences, wanted) * slow)
            }
            return chosen.suffix(steps / 2).sorted()
        }
        // Medians: other lengths are tried now and then.
        #expect(settled(1, right: 0.9)[500] >= 5)
        #expect((1...3).contains(settled(1, right: 0.4)[500]))
        #expect(settled(32, right: 0.6)[500] == 0)
        // Soon, too: a slow first step says nothing of a length.
        #expect(settled(32, right: 0.6, steps: 60).allSatisfy { $0 == 0 })
        // Nor does a step that waited for a neighbour, just when a length was tried.
        #expect(settled(1, right: 0.9, slowWithDrafts: 2)[500] >= 5)
        var idle = DraftLength(limit: 2)
        for sequences in [1, 1, 64] {
            for _ in 0..<200 {
                let wanted = idle.wanted(sequences: sequences)
                idle.learn(
                    sequences: sequences, rows: sequences * (wanted + 1),
                    seconds: seconds(sequences, wanted))
            }
            #expect(idle.isFollowing == (sequences == 1), "where nothing pays, nobody follows")
        }
        var fixed = DraftLength(limit: 6, fixed: 9)
        #expect(fixed.wanted(sequences: 1) == 6)
    }

    @Test("what followed before is guessed again")
    func lookUp() {
        let drafter = LookUpDrafter(limit: 4)
        func draft(_ tokens: [Int32], _ wanted: Int = 4, request: Int = 1) -> [Int32] {
            let turn = DraftTurn(
                request: RequestID(request), item: 0, kept: 1, tokens: tokens, blocks: [],
                wanted: wanted, choices: [])
            return drafter.draft(behind: .init(items: [], preempted: []), [turn])[
                RequestID(request)] ?? []
        }
        #expect(draft([1, 2, 3, 4, 5, 6, 1, 2]) == [3, 4, 5, 6])
        // The longest run counts, and of equal ones the last.
        #expect(
            draft([1, 2, 3, 9, 1, 2, 3, 4, 5, 0, 2, 3, 7, 7, 1, 2, 3], request: 2) == [4, 5, 0, 2])
        #expect(draft([1, 2, 3, 4, 5, 6, 1, 2], 2, request: 3) == [3, 4])
        #expect(draft([1, 2, 3, 4], request: 4).isEmpty)
        // Text that grows, token by token, says the same as text that is there at once.
        let text: [Int32] = [5, 6, 7, 5, 6, 8, 5, 6, 7, 5, 6]
        for count in 1..<text.count { _ = draft(Array(text.prefix(count)), request: 5) }
        #expect(draft(text, request: 5) == draft(text, request: 6))
        drafter.end(RequestID(5))
        #expect(draft([5, 6], request: 5).isEmpty)
    }
}
