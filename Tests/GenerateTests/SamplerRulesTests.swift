import Foundation
import Testing
import Text

@testable import Generate

/// Lets one list of tokens come, one after the other, and then the end.
private struct FixedText: TokenConstraint {
    var rest: [Int]
    let endsItself: Bool

    mutating func mask(_ logits: inout [Float], endTokens: Set<Int>) {
        for token in logits.indices
        where rest.isEmpty ? !endTokens.contains(token) : token != rest[0] {
            logits[token] = -.infinity
        }
    }

    mutating func advance(_ token: Int) { if !rest.isEmpty { rest.removeFirst() } }

    var isComplete: Bool { endsItself && rest.isEmpty }
}

@Suite("Sampler: penalties, biases, constraints, reports")
struct SamplerRulesTests {
    @Test("presence counts once, frequency each time, only what was generated")
    func occurrences() throws {
        var options = SamplingOptions()
        (options.presencePenalty, options.frequencyPenalty) = (0.5, 0.25)
        var sampler = try Sampler(options)
        sampler.observe([1])
        let logits: [Float] = [0, 2, 1.4, 0.9]
        // 1 costs 0.75 after it came once, then 2 costs 0.75, then 1 is at 1.25, 2 at 0.65, 3 at 0.9.
        #expect((0..<5).map { _ in sampler.next(logits) } == [1, 2, 1, 1, 3])
    }

    @Test("a bias adds to the logit")
    func bias() throws {
        var options = SamplingOptions()
        options.bias = [0: 100, 2: -100, 99: 5]
        var sampler = try Sampler(options)
        #expect(sampler.next([-50, 40, 49]) == 0)
        #expect(sampler.next([-90, 9, 60]) == 0)
        options.bias = [2: -100]
        var other = try Sampler(options)
        #expect(other.next([-50, -60, 49]) == 0)
    }

    @Test("no rule, no logits: the fast path is for greedy requests alone")
    func plain() throws {
        #expect(try Sampler(SamplingOptions()).isPlain)
        // Of these a device knows the last two.
        var changes: [(inout SamplingOptions) -> Void] = []
        changes.append { $0.presencePenalty = 1 }
        changes.append { $0.frequencyPenalty = -1 }
        changes.append { $0.bias = [1: 1] }
        changes.append { $0.logprobs = 0 }
        changes.append { $0.temperature = 1 }
        changes.append { $0.repetitionPenalty = 2 }
        for (index, change) in changes.enumerated() {
            var options = SamplingOptions()
            change(&options)
            let sampler = try Sampler(options)
            #expect(!sampler.isPlain)
            #expect((sampler.choice == nil) == (index < 4))
        }
        let bound = try Sampler(
            SamplingOptions(), constraint: FixedText(rest: [1], endsItself: true))
        #expect(!bound.isPlain && bound.choice == nil)
    }

    @Test("a constraint decides, greedy or not", arguments: [0.0, 1.5])
    func constraint(temperature: Double) throws {
        var options = SamplingOptions()
        options.temperature = temperature
        var sampler = try Sampler(
            options, constraint: FixedText(rest: [3, 0, 2], endsItself: false), endTokens: [1])
        let tokens = (0..<5).map { sampler.next(SamplerTests.logits(4, seed: UInt64($0))) }
        #expect(tokens == [3, 0, 2, 1, 1])
        #expect(!sampler.isComplete)
        var ending = try Sampler(
            options, constraint: FixedText(rest: [2], endsItself: true), endTokens: [1])
        _ = ending.next([0, 0, 0])
        #expect(ending.isComplete)
    }

    @Test("log-probabilities are the model's own")
    func logprobs() {
        let logits = SamplerTests.logits(300, seed: 3)
        let sum = logits.reduce(0) { $0 + exp(Double($1)) }
        let order = logits.indices.sorted { logits[$0] > logits[$1] }
        let found = TokenLogprobs(of: 17, logits, top: 20)
        #expect(found.chosen.token == 17)
        #expect(found.top.map(\.token) == Array(order.prefix(20)))
        for entry in found.top + [found.chosen] {
            // Sums of 300 float32 exponentials.
            #expect(abs(entry.logprob - (Double(logits[entry.token]) - log(sum))) < 300 * 0x1p-24)
        }
        #expect(TokenLogprobs(of: 2, [0, 1, 1, 1], top: 2).top.map(\.token) == [1, 2])
        #expect(TokenLogprobs(of: 2, [0, 1, 1, 1], top: 0).top.isEmpty)
    }

    @Test("values that mean nothing are refused")
    func validation() {
        var options = SamplingOptions()
        options.presencePenalty = 2.5
        #expect(throws: SamplingOptionsError.occurrencePenalty(2.5)) { try options.validate() }
        options.presencePenalty = 0
        options.bias = [3: 101]
        #expect(throws: SamplingOptionsError.bias(token: 3, 101)) { try options.validate() }
        options.bias = [:]
        options.logprobs = 21
        #expect(throws: SamplingOptionsError.logprobs(21)) { try options.validate() }
    }
}
