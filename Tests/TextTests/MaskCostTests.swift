import Foundation
import Testing

@testable import Text

/// What holding an answer to its form costs the engine's thread for each token, with a vocabulary of 150,000.
@Suite("Cost of masks", .serialized, .enabled(if: TestData.hasData))
struct MaskCostTests {
    private let tokenizer: Tokenizer
    private let trie: TokenTrie

    init() throws {
        tokenizer = try TestData.tokenizer("qwen2")
        trie = TokenTrie(tokenizer)
        #expect(trie.vocabularySize > 150_000)
    }

    private static let words = """
        river history lighthouse begins in the mountains and of its bridges city harbour white painted century they when \
        measured against Größe naïve 東京 émigré quantum tensor ring network compresses forty-two percent however, although \
        she opened door water is a long one; 1850 steel rail engineers wrote letters home every winter until nothing was left
        """.split(separator: " ").map(String.init)

    private static func sentence(_ count: Int, _ random: inout SeededGenerator) -> String {
        (0..<count).map { _ in words.randomElement(using: &random) ?? "" }.joined(separator: " ")
    }

    /// Records as a model would write them, one behind the other.
    private static func records(_ count: Int, seed: UInt64) -> String {
        var random = SeededGenerator(seed: seed)
        let items = (0..<count).map { number in
            let tags = ["news", "history", "travel"].prefix(Int.random(in: 0...3, using: &random))
                .map { "\"\($0)\"" }.joined(separator: ", ")
            return """
                {"title": "\(sentence(6, &random))", "summary": "\(sentence(40, &random))", "tags": [\(tags)], \
                "year": \(1800 + number), "price": \(number).25, "code": "AB-\(1000 + number)", "author": {"name": \
                "\(sentence(2, &random))", "x-note": "\(sentence(8, &random))"}}
                """
        }
        return "[" + items.joined(separator: ",\n ") + "]"
    }

    private static let schema = #"""
        {"type": "array", "items": {"type": "object", "additionalProperties": false,
          "required": ["title", "summary", "tags", "year", "price", "code", "author"],
          "properties": {
            "title": {"type": "string"}, "summary": {"type": "string", "maxLength": 2000},
            "tags": {"type": "array", "items": {"enum": ["news", "history", "travel"]}, "maxItems": 5},
            "year": {"type": "integer", "minimum": 0, "maximum": 2100}, "price": {"type": "number", "multipleOf": 0.05, "minimum": 0},
            "code": {"type": "string", "pattern": "^[A-Z]{2}-\\d{4}$"},
            "author": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"],
              "patternProperties": {"^x-": {"type": "string"}}}}}}
        """#

    /// Of this thread: what others do on a busy machine does not count.
    private static func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Seconds of each token: the mask, applied to logits, and the step behind it.
    private func times(_ grammar: Grammar, _ text: String) throws -> [Double] {
        var constraint = try GrammarConstraint(grammar, trie)
        var logits = [Float](repeating: 0, count: trie.vocabularySize)
        return try tokenizer.encode(text).map { token in
            let start = Self.seconds()
            constraint.mask(&logits, endTokens: [0])
            let middle = Self.seconds()
            try #require(logits[Int(token)] == 0, "the text is one of the grammar")
            for index in logits.indices { logits[index] = 0 }
            let before = Self.seconds()
            constraint.advance(Int(token))
            return middle - start + Self.seconds() - before
        }
    }

    @Test(
        "masks of 150,000 tokens take less than a millisecond, in the median and nearly always",
        arguments: [true, false])
    func steady(hasSchema: Bool) throws {
        var text = Self.records(40, seed: 5)
        if !hasSchema { text = "{\"items\": \(text)}" }
        let grammar = hasSchema ? try GrammarTests.grammar(Self.schema) : .jsonObject
        let all = try times(grammar, text)
        // The first record is where everything is met first.
        let first = text.split(separator: "\n")[0]
        let steady = all.dropFirst(tokenizer.encode(String(first)).count + 4).sorted()
        try #require(steady.count > 2_000)
        func percentile(_ share: Double) -> Double { steady[Int(share * Double(steady.count - 1))] }
        print(
            "masks of \(trie.vocabularySize) tokens, \(hasSchema ? "a schema" : "any object"), \(steady.count) tokens in ms: median \(1e3 * percentile(0.5)), p99 \(1e3 * percentile(0.99)), longest \(1e3 * percentile(1)); in the first record: longest \(1e3 * (all.max() ?? 0))"
        )
        #expect(percentile(0.5) < 1e-3)
        #expect(percentile(0.99) < 1e-3)
    }

    /// A string that is open: the slowest mask there is, where nothing is known yet.
    @Test("a mask that is made anew takes a few milliseconds")
    func new() throws {
        let grammar = try GrammarTests.grammar(#"{"type": "string", "maxLength": 90000}"#)
        let quote = try #require(tokenizer.id(of: "\""))
        var times: [Duration] = []
        for _ in 0..<12 {
            var constraint = try GrammarConstraint(grammar, trie)
            constraint.advance(Int(quote))
            var count = 0
            times.append(ContinuousClock().measure { count = constraint.allowedTokens().count })
            #expect(count > 100_000)
        }
        let best = try #require(times.min())
        print("mask of \(trie.bytes.count) nodes in an open string: \(best)")
        // Ten times what it takes on one idle core: the machine may be busy.
        #expect(best < .milliseconds(30))
    }
}
