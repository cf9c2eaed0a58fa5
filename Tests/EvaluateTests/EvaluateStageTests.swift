import Artifacts
import Foundation
import Models
import Tensors
import Testing
import Text

@testable import Evaluate

@Suite("EvaluateStage on the shipped model")
struct EvaluateStageTests {
    private func stage(
        _ texts: [String] = [TestData.text], window: Int, stride: Int? = nil, windows: Int? = nil,
        reference: String? = nil
    ) -> EvaluateStage {
        var stage = EvaluateStage(model: TestData.tiny, texts: texts)
        stage.window = window
        stage.stride = stride ?? window
        stage.windowLimit = windows
        stage.reference = reference
        return stage
    }

    private static func model() throws -> CausalLanguageModel {
        try CausalLanguageModel(
            Checkpoint(TestData.tiny), ModelConfiguration(folder: TestData.tiny))
    }

    /// The first tokens of the repository's text.
    private static func tokens(_ count: Int) throws -> [Int] {
        var stream = try TokenStream(
            Corpus(path: TestData.text), Tokenizer(path: TestData.tiny))
        var tokens: [Int] = []
        while tokens.count < count, let document = try stream.nextDocument() {
            tokens += document.map(Int.init)
        }
        return Array(tokens.prefix(count))
    }

    @Test("a model is at no distance from itself")
    func itself() throws {
        let report = try stage(window: 200, windows: 3, reference: TestData.tiny).run { _, _, _ in }
        #expect(report.tokens == 600)
        #expect(try #require(report.klMean) == 0)
        #expect(report.top1Agreement == 1)
    }

    @Test(
        "windows that overlap count every token once",
        arguments: [(32, 8), (32, 32), (33, 10), (16, 1)])
    func overlap(_ window: Int, _ stride: Int) throws {
        let windows = 5
        let tokens = try Self.tokens(window + (windows - 1) * stride + 1)
        let model = try Self.model()
        var direct = DirectScore()
        var counted: [Int] = []
        for index in 0..<windows {
            let start = index * stride
            let scored = index == 0 ? window : stride
            try direct.add(
                Array(tokens[start...start + window]), scored: scored, model, model)
            counted += (start + window - scored + 1)...(start + window)
        }
        #expect(counted == Array(1..<tokens.count))

        var steps: [Int] = []
        let report = try stage(window: window, stride: stride, windows: windows)
            .run { file, done, _ in
                #expect(file == TestData.text)
                steps.append(done)
            }
        #expect(steps == Array(1...windows))
        #expect(report.tokens == tokens.count - 1)
        #expect(
            abs(log(report.perplexity) - log(direct.perplexity)) <= direct.bound(width: 768))
    }

    @Test("texts are reported one by one and together")
    func texts() throws {
        let other = "\(TestData.root)/Examples/calibration.txt"
        let report = try stage([TestData.text, other], window: 64, windows: 3).run { _, _, _ in }
        #expect(report.texts.map(\.file) == [TestData.text, other])
        #expect(report.texts.map(\.tokens) == [192, 192])
        #expect(report.tokens == 384)
        let mean = report.texts.reduce(0.0) { $0 + log($1.perplexity) } / 2
        #expect(abs(log(report.perplexity) - mean) <= 1e-12)
    }

    @Test("a text shorter than a window and the token that follows is refused")
    func tooShort() throws {
        let folder = try TemporaryFolder()
        let file = "\(folder.path)/short.txt"
        try Data("A few words.".utf8).write(to: URL(fileURLWithPath: file))
        let count = try Tokenizer(path: TestData.tiny).encode("A few words.").count
        let report = try stage([file], window: count - 1).run { _, _, _ in }
        #expect(report.tokens == count - 1)
        let error = #expect(throws: EvaluateError.self) {
            _ = try stage([file], window: count).run { _, _, _ in }
        }
        guard case .tooShort(file, count)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(error?.description.contains(file) == true)
    }

    @Test("a reference with another vocabulary is refused")
    func vocabularies() throws {
        let other = try RandomModel(vocabulary: 50, seed: 1)
        let error = #expect(throws: EvaluateError.self) {
            _ = try stage(window: 8, windows: 1, reference: other.path).run { _, _, _ in }
        }
        guard case .vocabularies(4_096, 50)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("what progress throws ends the run")
    func interruption() {
        struct Enough: Error {}
        #expect(throws: Enough.self) {
            _ = try stage(window: 8).run { _, done, _ in if done == 2 { throw Enough() } }
        }
    }

    @Test("bfloat16 is computed in, and is close")
    func bfloat16() throws {
        var rounded = stage(window: 128, windows: 2)
        let exact = try rounded.run { _, _, _ in }
        rounded.elementType = .bfloat16
        let report = try rounded.run { _, _, _ in }
        #expect(report.elementType == "BF16" && exact.elementType == "F32")
        #expect(report.perplexity != exact.perplexity)
        // Logits of about ten units, off by 2⁻⁸ of that at random: 0.04 per token, over 256 tokens.
        #expect(abs(log(report.perplexity / exact.perplexity)) < 0.02)
    }

    // MARK: The report

    private static func keys(_ value: Any?) -> Set<String> {
        Set((value as? [String: Any] ?? [:]).keys)
    }

    @Test("JSON has the keys and values that the command promises")
    func json() throws {
        let report = try stage(window: 64, windows: 2, reference: TestData.tiny).run { _, _, _ in }
        let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(report))
        #expect(
            Self.keys(object) == [
                "model", "reference", "perplexity", "tokens", "kl_mean", "top1_agreement",
                "parameters", "linear_parameters", "bytes", "tokens_per_second",
                "peak_memory_bytes", "window", "stride", "device", "dtype", "threads", "texts",
            ])
        let values = try #require(object as? [String: Any])
        let texts = try #require(values["texts"] as? [Any])
        #expect(
            Self.keys(texts.first) == [
                "file", "perplexity", "tokens", "reference_perplexity", "kl_mean",
                "top1_agreement",
            ])
        #expect(values["tokens"] as? Int == 128)
        // Embedding and norms beside the linear layers; bfloat16, two bytes each.
        let parameters = try #require(values["parameters"] as? Int)
        let linear = 6 * (256 * (256 + 128 + 128) + 256 * 256 + 3 * 256 * 768)
        #expect(values["linear_parameters"] as? Int == linear)
        #expect(parameters == linear + 4_096 * 256 + 256 + 6 * (2 * 256 + 2 * 64))
        #expect(values["bytes"] as? Int == 2 * parameters)
        #expect(try #require(values["tokens_per_second"] as? Double) > 1)
        // At least the float32 weights, twice; less than this machine could have.
        let peak = try #require(values["peak_memory_bytes"] as? Int)
        #expect((2 * 4 * parameters..<64 << 30).contains(peak))
    }

    @Test("without a reference the comparison is absent")
    func jsonWithoutReference() throws {
        let report = try stage(window: 16, windows: 1).run { _, _, _ in }
        let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(report))
        #expect(Self.keys(object).isDisjoint(with: ["reference", "kl_mean", "top1_agreement"]))
        #expect(Self.keys(object).isSuperset(of: ["perplexity", "tokens", "bytes", "parameters"]))
    }

    // MARK: Reference

    struct Expected: Decodable {
        let perplexity: Double
        let tokens: Int
    }

    @Test(
        "perplexity is transformers'", .enabled(if: TestData.hasReference),
        arguments: ["corpus/valid.txt.xz", "wikitext2/wiki.test.raw"])
    func perplexity(_ text: String) throws {
        let name = text.split(separator: "/").last ?? ""
        let expected = try JSONDecoder().decode(
            Expected.self,
            from: TestData.bytes("\(TestData.reference)/tiny.\(name).json"))
        let report = try stage(
            ["\(TestData.data)/data/\(text)"], window: 2_048, windows: expected.tokens / 2_048
        ).run { _, _, _ in }
        let deviation = abs(report.perplexity / expected.perplexity - 1)
        print("\(name): perplexity \(report.perplexity), off by \(deviation)")
        #expect(report.tokens == expected.tokens)
        #expect(deviation <= 1e-3)
    }
}
