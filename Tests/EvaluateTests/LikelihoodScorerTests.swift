import Foundation
import Models
import Tensors
import Testing

@testable import Evaluate

@Suite("LikelihoodScorer")
struct LikelihoodScorerTests {
    private typealias Pair = PromptEncoder.Pair
    private static let vocabulary = 37

    private static func ids(_ count: Int, _ random: inout PythonRandom) -> [Int] {
        (0..<count).map { _ in random.below(vocabulary) }
    }

    /// One pair in float64, alone and token by token.
    private static func direct(
        _ pair: Pair, _ model: CausalLanguageModel, context: Int
    ) throws -> Likelihood {
        let tokens = Array((pair.context + pair.continuation).suffix(context + 1))
        let logits = try withoutGradients {
            try model.logits(try Tensor(Array(tokens.dropLast()), shape: [1, tokens.count - 1]))
        }
        let flat = try logits.elements(as: Double.self)
        var result = Likelihood()
        for position in (tokens.count - 1 - pair.continuation.count)..<(tokens.count - 1) {
            let row = Array(flat[position * vocabulary..<(position + 1) * vocabulary])
            let total = log(row.reduce(0) { $0 + exp($1) })
            result.logProbability += row[tokens[position + 1]] - total
            if row.indices.max(by: { row[$0] < row[$1] }) != tokens[position + 1] {
                result.isGreedy = false
            }
        }
        return result
    }

    private static func check(
        _ questions: [[Pair]], context: Int = 1024, tokensAtOnce: Int = 4_096
    ) throws {
        let model = try RandomModel(seed: 1).load()
        var scorer = LikelihoodScorer(model)
        scorer.tokensAtOnce = tokensAtOnce
        var progress: [Int] = []
        let results = try scorer.score(questions) { progress.append($0) }
        #expect(results.map(\.count) == questions.map(\.count))
        #expect(progress.last == questions.reduce(0) { $0 + $1.count })
        for (pairs, results) in zip(questions, results) {
            for (pair, result) in zip(pairs, results) {
                let expected = try direct(pair, model, context: context)
                // A sum of as many float32 log-probabilities of a few units each.
                let bound = 1e-5 * Double(pair.continuation.count)
                #expect(abs(result.logProbability - expected.logProbability) <= bound)
                #expect(result.isGreedy == expected.isGreedy)
            }
        }
    }

    @Test("choices that share a context, at any size of batches", arguments: [1, 60, 300, 4_096])
    func shared(_ tokensAtOnce: Int) throws {
        var random = PythonRandom(seed: 7)
        let questions = (0..<9).map { index in
            let context = Self.ids([12, 30, 12, 5, 30, 30, 12, 1, 12][index], &random)
            return (0..<4).map { _ in
                Pair(context: context, continuation: Self.ids(1 + random.below(9), &random))
            }
        }
        try Self.check(questions, tokensAtOnce: tokensAtOnce)
    }

    @Test("all questions behind one preamble, choices of one token")
    func preamble() throws {
        var random = PythonRandom(seed: 8)
        let preamble = Self.ids(100, &random)
        let questions = (0..<7).map { index in
            let context = preamble + Self.ids(3 + index % 3, &random)
            return [1, 2, 3, 4].map { Pair(context: context, continuation: [$0]) }
        }
        let plan = LikelihoodBatches(questions, context: 1024, tokensAtOnce: 4_096)
        #expect(plan.batches.allSatisfy { $0.prefixes == [preamble] })
        // Inputs are the same for all choices.
        #expect(plan.batches.reduce(0) { $0 + $1.rows.count } == 7)
        try Self.check(questions)
    }

    @Test("different contexts before one continuation, and single questions")
    func different() throws {
        var random = PythonRandom(seed: 9)
        let ending = Self.ids(6, &random)
        let pairs = (0..<5).map { index in
            (0..<2).map { _ in
                Pair(context: Self.ids(3 + 4 * index, &random), continuation: ending)
            }
        }
        try Self.check(pairs)
        try Self.check(pairs.flatMap { $0 }.map { [$0] }, tokensAtOnce: 40)
    }

    @Test("what is too long loses its beginning")
    func truncated() throws {
        var random = PythonRandom(seed: 10)
        let context = Self.ids(1_500, &random)
        try Self.check([
            [3, 3, 20].map { Pair(context: context, continuation: Self.ids($0, &random)) },
            // One input fewer than the context, just the context, and no more than the continuation.
            [Pair(context: Self.ids(1_020, &random), continuation: Self.ids(4, &random))],
            [Pair(context: Self.ids(1_021, &random), continuation: Self.ids(4, &random))],
            [Pair(context: [3], continuation: Self.ids(1_024, &random))],
        ])
    }

    @Test("greedy continuations are found to be greedy")
    func greedy() throws {
        var random = PythonRandom(seed: 11)
        let model = try RandomModel(seed: 1).load()
        let context = Self.ids(8, &random)
        var tokens = context
        for _ in 0..<3 {
            let logits = try withoutGradients {
                try model.logits(try Tensor(tokens, shape: [1, tokens.count]))
            }
            let next = try logits.selected(1, tokens.count - 1).argmax(-1)
            tokens.append(Int(try next.converted(to: .int64).elements(as: Int.self)[0]))
        }
        let right = Array(tokens.dropFirst(8))
        let wrong = Array(right.dropLast()) + [(right[2] + 1) % Self.vocabulary]
        let results = try LikelihoodScorer(model).score([
            [right, wrong].map { Pair(context: context, continuation: $0) }
        ]) { _ in }
        #expect(results[0].map(\.isGreedy) == [true, false])
    }

    @Test("shared contexts are computed once")
    func savings() {
        var random = PythonRandom(seed: 12)
        let questions = (0..<20).map { index in
            let context = Self.ids(40 + index % 2, &random)
            return (0..<4).map { _ in
                Pair(context: context, continuation: Self.ids(5 + random.below(4), &random))
            }
        }
        let plan = LikelihoodBatches(questions, context: 1024, tokensAtOnce: 1_024)
        var (computed, known) = (0, [[Int]]())
        for batch in plan.batches {
            if batch.prefixes != known { computed += batch.prefixes.joined().count }
            known = batch.prefixes
            computed += batch.rows.count * (batch.rows.map(\.row.inputs.count).max() ?? 0)
        }
        let apart = questions.joined().reduce(0) {
            $0 + $1.context.count + $1.continuation.count - 1
        }
        #expect(computed < apart / 2)
    }
}
