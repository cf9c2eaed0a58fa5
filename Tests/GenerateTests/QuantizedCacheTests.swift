import Artifacts
import Foundation
import Models
import Tensors
import Testing
import Text

@testable import Generate

@Suite("Keys and values of one byte")
struct QuantizedCacheTests {
    /// Mean negative log-likelihood of every token but the first, one token a step, `texts` sequences side by side.
    private func loss(
        _ model: CausalLanguageModel, _ texts: [[Int32]], cache: ElementType
    ) throws -> Double {
        let count = texts[0].count
        let each = count / 64 + 1
        let runner = try ModelRunner(model, blocks: texts.count * each, as: cache)
        var sum = 0.0
        for place in 0..<count - 1 {
            let items = texts.enumerated().map { index, text in
                Scheduler.Item(
                    request: RequestID(index), tokens: [text[place]], start: place,
                    blocks: Array(index * each..<(index + 1) * each), predicts: true)
            }
            let logits = try runner.logits(of: .init(items: items, preempted: []))
            let shares = try logits.converted(to: .float32).logSoftmax(-1)
            for (index, text) in texts.enumerated() {
                let row = try shares.narrowed(0, index..<index + 1)
                sum -= try row.narrowed(1, Int(text[place + 1])..<Int(text[place + 1]) + 1).scalar()
            }
        }
        return sum / Double(texts.count * (count - 1))
    }

    @Test("in e4m3 they change the shipped model's perplexity by less than half a percent")
    func perplexity() throws {
        let model = try CausalLanguageModel(
            Checkpoint(TestData.tiny), ModelConfiguration(folder: TestData.tiny), as: .float32,
            on: .cpu)
        let tokenizer = try Tokenizer(path: TestData.tiny)
        let text = try String(
            contentsOfFile: TestData.root + "/Examples/evaluation.txt", encoding: .utf8)
        let tokens = tokenizer.encode(text).map { Int32($0) }
        let (length, sequences) = (192, 12)
        try #require(tokens.count >= length * sequences)
        let texts = (0..<sequences).map { Array(tokens[$0 * length..<($0 + 1) * length]) }
        let exact: Double = try loss(model, texts, cache: .float32)
        let quantized: Double = try loss(model, texts, cache: .float8e4m3)
        let change = exp(quantized - exact) - 1
        #expect(change != 0)
        #expect(abs(change) < 0.005, "\(change)")
    }
}
