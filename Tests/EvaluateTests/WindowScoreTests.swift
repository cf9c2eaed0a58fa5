import Foundation
import Generate
import Models
import Tensors
import Testing

@testable import Evaluate

@Suite("WindowScore")
struct WindowScoreTests {
    static func ids(_ count: Int, vocabulary: Int) -> [Int] {
        (0..<count).map { ($0 * $0 * 5 + $0 * 3 + 2) % vocabulary }
    }

    // 256 rows of logits are taken at once: fewer, exactly as many, and more.
    @Test("loss, KL and agreement are those of float64", arguments: [1, 40, 256, 300, 513])
    func direct(_ length: Int) throws {
        let (model, reference) = (
            try RandomModel(seed: 1).load(), try RandomModel(seed: 500).load()
        )
        let window = Self.ids(length + 1, vocabulary: 37)
        var (score, direct) = (WindowScore(hasReference: true), DirectScore())
        try withoutGradients {
            try score.add(
                window, scored: length, model: model, reference: ReferenceModel(reference))
        }
        try direct.add(window, scored: length, model, reference)
        let bound = direct.bound(width: 24)
        let kl = try #require(score.klMean)
        #expect(score.tokens == length)
        #expect(abs(log(score.perplexity) - log(direct.perplexity)) <= bound)
        #expect(abs(kl - direct.klMean) <= bound)
        #expect(score.top1Agreement == direct.agreement)
        print(
            "\(length) tokens: loss off by \(abs(log(score.perplexity) - log(direct.perplexity))),",
            "KL \(kl) off by \(abs(kl - direct.klMean)), bound \(bound)")
        // The two models differ, or the test would show nothing.
        #expect(kl > 0.1 && (length < 40 || (0.001..<0.9).contains(direct.agreement)))
    }

    @Test("only the last `scored` targets count", arguments: [1, 7, 39])
    func scored(_ scored: Int) throws {
        let (model, reference) = (
            try RandomModel(seed: 1).load(), try RandomModel(seed: 500).load()
        )
        let window = Self.ids(41, vocabulary: 37)
        var (score, direct) = (WindowScore(hasReference: true), DirectScore())
        try withoutGradients {
            try score.add(
                window, scored: scored, model: model, reference: ReferenceModel(reference))
        }
        try direct.add(window, scored: scored, model, reference)
        #expect(score.tokens == scored)
        #expect(abs(log(score.perplexity) - log(direct.perplexity)) <= direct.bound(width: 24))
        #expect(abs(try #require(score.klMean) - direct.klMean) <= direct.bound(width: 24))
    }

    @Test("scores add up")
    func sums() throws {
        let (model, reference) = (
            try RandomModel(seed: 1).load(), try RandomModel(seed: 500).load()
        )
        let windows = [Self.ids(20, vocabulary: 37), Self.ids(51, vocabulary: 37).reversed()]
        var together = WindowScore(hasReference: true)
        var total = WindowScore(hasReference: true)
        for window in windows {
            var one = WindowScore(hasReference: true)
            try one.add(
                window, scored: window.count - 1, model: model, reference: ReferenceModel(reference)
            )
            try together.add(
                window, scored: window.count - 1, model: model, reference: ReferenceModel(reference)
            )
            total.add(one)
        }
        #expect(total.tokens == 69 && together.tokens == 69)
        #expect(abs(total.perplexity / together.perplexity - 1) <= 1e-14)
        #expect(abs(try #require(total.klMean) / #require(together.klMean) - 1) <= 1e-14)
        #expect(total.top1Agreement == together.top1Agreement)
    }

    @Test(
        "windows that are decoded side by side score as they do at once; e4m3 keys and values change that a little"
    )
    func decoded() throws {
        let (model, reference) = (
            try RandomModel(seed: 1).load(), try RandomModel(seed: 500).load()
        )
        let ids = Self.ids(20, vocabulary: 37)
        let windows = [ids, ids.reversed(), Array(ids.dropFirst(5)) + ids.prefix(5)]
        var whole = WindowScore(hasReference: true)
        for window in windows {
            try whole.add(window, scored: 19, model: model, reference: ReferenceModel(reference))
        }
        var scores: [WindowScore] = []
        for type in [ElementType.float32, .float8e4m3] {
            var score = WindowScore(hasReference: true)
            // Blocks of 8 tokens: three a window.
            try score.add(
                windows, decodedBy: ModelRunner(model, blocks: 9, blockTokens: 8, as: type),
                reference: ReferenceModel(reference))
            scores.append(score)
        }
        #expect(scores[0].tokens == 57)
        #expect(abs(scores[0].perplexity / whole.perplexity - 1) < 1e-5)
        let referenced = try (#require(scores[0].klMean), #require(whole.klMean))
        #expect(abs(referenced.0 / referenced.1 - 1) < 1e-4)
        #expect(
            scores[0].referencePerplexity.map {
                abs($0 / (whole.referencePerplexity ?? 0) - 1) < 1e-5
            } == true)
        #expect(scores[1].perplexity != scores[0].perplexity)
        #expect(abs(scores[1].perplexity / scores[0].perplexity - 1) < 0.05)
    }

    @Test("without a reference there is nothing to compare")
    func noReference() throws {
        var score = WindowScore(hasReference: false)
        try score.add(
            Self.ids(9, vocabulary: 37), scored: 8, model: RandomModel(seed: 1).load(),
            reference: nil)
        #expect(score.tokens == 8)
        #expect(score.klMean == nil && score.top1Agreement == nil)
    }
}
