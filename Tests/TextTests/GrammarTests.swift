import Foundation
import Testing

@testable import Text

/// Constrained decoding: whatever is drawn from the masks satisfies the schema.
@Suite("Grammars")
struct GrammarTests {
    static let referenceFolder =
        TestData.environment["MINIMA_REFERENCE"].map { "\($0)/../schemas" }
        ?? "\(TestData.root)/.build/reference/schemas"
    static let hasReference = TestData.available(
        "\(referenceFolder)/schemas.json", variable: "MINIMA_REFERENCE",
        required: "MINIMA_REQUIRE_REFERENCE")

    /// The bytes as tokens, and a few longer ones that cross what the grammar tells apart.
    static let smallVocabulary: [[UInt8]] =
        (0..<256).map { [UInt8($0)] }
        + [
            "\",", "\":", "\": ", "\"}", "{\"", "[[", "]]", "}}", "},", "],", " true", "false",
            "null", ", \"",
            "\\\"", "\\u", "00", "123", "-1", "0.", "e-", "ab", "name", "é", "日本", "  ", "\n  ",
            "\"\"", "{}",
            "[]", ":\"", "aé", "\\n", "\\u00e9", "a\"", "b\",\"",
        ].map { Array($0.utf8) } + [[]]

    static func grammar(_ schema: String) throws -> Grammar {
        try Grammar(schema: Array(schema.utf8))
    }

    // MARK: Against jsonschema

    @Test(
        "accepts only what jsonschema accepts, and all that is written canonically",
        .enabled(if: hasReference))
    func reference() throws {
        let document = try JSONDocument(
            try TestData.bytes("\(Self.referenceFolder)/schemas.json"))
        var accepted = 0
        var refused = 0
        for item in document.root.elementValues {
            let schema = try #require(item["schema"])
            let text = String(decoding: JSONText.bytes(of: schema), as: UTF8.self)
            let grammar = try SchemaCompilerCheck.compile(schema)
            guard let grammar else { continue }
            let validator = SchemaValidator(root: schema)
            for instance in try #require(item["instances"]).elementValues {
                let bytes = Array((instance["text"]?.string ?? "").utf8)
                let isValid = instance["valid"]?.bool ?? false
                let value = try JSONDocument(bytes)
                let verdict = validator.isValid(value.root, schema)
                try #require(verdict == isValid, "the tests' own validator: \(text)")
                let isAccepted = try grammar.accepts(bytes)
                let shown = String(decoding: bytes, as: UTF8.self)
                if isAccepted { accepted += 1 } else { refused += 1 }
                #expect(isValid || !isAccepted, "\(shown) does not satisfy \(text)")
                if instance["canonical"]?.bool == true {
                    #expect(isAccepted, "\(shown) satisfies \(text)")
                }
            }
        }
        #expect(accepted > 3000 && refused > 1000)
    }

    @Test("random walks by masks end in JSON that validates", .enabled(if: hasReference))
    func walks() throws {
        let document = try JSONDocument(
            try TestData.bytes("\(Self.referenceFolder)/schemas.json"))
        let trie = TokenTrie(Self.smallVocabulary)
        var random = SeededGenerator(seed: 3)
        var walks = 0
        for item in document.root.elementValues {
            let schema = try #require(item["schema"])
            guard let grammar = try SchemaCompilerCheck.compile(schema) else { continue }
            let validator = SchemaValidator(root: schema)
            for _ in 0..<6 {
                let constraint = try GrammarConstraint(grammar, trie)
                let text = try Walk.run(constraint, trie, length: 60, &random)
                let value = try JSONDocument(text)
                let shown = String(decoding: text, as: UTF8.self)
                #expect(
                    validator.isValid(value.root, schema),
                    "\(shown) for \(String(decoding: JSONText.bytes(of: schema), as: UTF8.self))")
                walks += 1
            }
        }
        #expect(walks > 1500)
    }

    @Test("json_object: objects, whatever is drawn", arguments: [UInt64](1...6))
    func anyObject(seed: UInt64) throws {
        let tokenizer = try Tokenizer(path: TinyModel.folder)
        let trie = TokenTrie(tokenizer)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<5 {
            let constraint = try GrammarConstraint(.jsonObject, trie)
            let text = try Walk.run(constraint, trie, length: 80, &random)
            let value = try JSONDocument(text)
            #expect(value.root.kind == .object)
        }
    }

    // MARK: Masks

    @Test("a mask holds exactly the tokens whose bytes the grammar takes", arguments: [4, 30, 90])
    func masks(longest: Int) throws {
        let grammar = try Self.grammar(
            #"{"type": "object", "properties": {"a": {"type": "string", "maxLength": \#(longest)}, "b": {"type": "integer"}}, "required": ["a"]}"#
        )
        let vocabulary = Self.smallVocabulary
        let trie = TokenTrie(vocabulary)
        let end = TokenID(vocabulary.count - 1)
        let texts = [#"{"a":"x\n","b":12}"#, #"{ "a" : "日é" , "zz": [null, {"q": 1e5}]}"#]
        for text in texts {
            let bytes = Array(text.utf8)
            var constraint = try GrammarConstraint(grammar, trie)
            for length in 0...bytes.count {
                let mask = constraint.allowedTokens()
                for (token, piece) in vocabulary.enumerated() where !piece.isEmpty {
                    let automaton = try GrammarAutomaton(grammar)
                    var position = automaton.start
                    for byte in bytes[..<length] + piece {
                        position = try automaton.step(position, byte)
                    }
                    #expect(mask[TokenID(token)] == (position != GrammarAutomaton.dead))
                }
                #expect(constraint.mayEnd == (length == bytes.count) && !mask[end])
                #expect(constraint.isComplete == constraint.mayEnd)
                var logits = [Float](repeating: 0, count: vocabulary.count)
                constraint.mask(&logits, endTokens: [Int(end)])
                #expect((logits[Int(end)] == 0) == constraint.mayEnd)
                #expect(
                    logits.indices.dropLast().allSatisfy { (logits[$0] == 0) == mask[TokenID($0)] })
                if length < bytes.count { constraint.advance(Int(bytes[length])) }
            }
            constraint.advance(Int(end))
            #expect(constraint.isComplete && constraint.fault == nil)
            constraint.advance(0x20)
            #expect(constraint.fault == .notAllowed(token: 0x20))
        }
    }

    @Test("a token that is not allowed ends the text", arguments: [0x5B, 9999, -1])
    func refusedTokens(token: Int) throws {
        let trie = TokenTrie(Self.smallVocabulary)
        var constraint = try GrammarConstraint(.jsonObject, trie)
        #expect(!constraint.isComplete && constraint.fault == nil)
        constraint.advance(token)
        #expect(constraint.fault == .notAllowed(token: TokenID(token)) && constraint.isComplete)
        var logits = [Float](repeating: 1, count: 500)
        constraint.mask(&logits, endTokens: [400])
        #expect(logits.indices.allSatisfy { (logits[$0] == 1) == ($0 == 400) })
    }

    @Test("copies go their own ways")
    func copies() throws {
        let trie = TokenTrie(Self.smallVocabulary)
        let grammar = try Self.grammar(#"{"enum": ["ab", "ac", 12]}"#)
        var first = try GrammarConstraint(grammar, trie)
        func advance(_ constraint: inout GrammarConstraint, _ text: String) {
            for byte in text.utf8 { constraint.advance(Int(byte)) }
        }
        var second = first
        advance(&first, "\"a")
        var third = first
        advance(&second, "1")
        advance(&third, "b\"")
        advance(&first, "c")
        #expect(third.isComplete && !first.isComplete && !second.isComplete)
        #expect(second.allowedTokens().tokens == [TokenID(UInt8(ascii: "2"))])
        #expect(first.allowedTokens().tokens == [TokenID(UInt8(ascii: "\""))])
    }

    @Test("a vocabulary without some bytes: texts without them")
    func poorVocabulary() throws {
        var poor = Self.smallVocabulary
        for (token, text) in poor.enumerated()
        where text == [UInt8(ascii: "x")] || text.first ?? 0 > 0x7F {
            poor[token] = []
        }
        let trie = TokenTrie(poor)
        let grammar = try Self.grammar(#"{"enum": ["ax", "ay", "é"]}"#)
        var constraint = try GrammarConstraint(grammar, trie)
        for byte in "\"a".utf8 { constraint.advance(Int(byte)) }
        #expect(constraint.allowedTokens().tokens == [TokenID(UInt8(ascii: "y"))])
        let impossible = try Self.grammar(#"{"const": "x"}"#)
        #expect(throws: ConstraintError.outsideVocabulary) {
            try GrammarConstraint(impossible, trie)
        }
    }

    @Test("long bounded strings forget what they need no more")
    func longStrings() throws {
        let grammar = try Self.grammar(
            #"{"type": "string", "minLength": 20000, "maxLength": 20001}"#)
        let trie = TokenTrie(Self.smallVocabulary)
        var constraint = try GrammarConstraint(grammar, trie)
        constraint.advance(Int(UInt8(ascii: "\"")))
        for _ in 0..<20_000 { constraint.advance(Int(UInt8(ascii: "a"))) }
        let mask = constraint.allowedTokens()
        #expect(mask[TokenID(UInt8(ascii: "\""))] && mask[TokenID(UInt8(ascii: "b"))])
        constraint.advance(Int(UInt8(ascii: "b")))
        let last = constraint.allowedTokens()
        #expect(last.tokens == [TokenID(UInt8(ascii: "\""))])
    }
}

/// Compiles what can be compiled; random schemas may be unsatisfiable.
enum SchemaCompilerCheck {
    static func compile(_ schema: JSONValue) throws -> Grammar? {
        do throws(SchemaError) {
            return try Grammar(schema: JSONText.bytes(of: schema))
        } catch {
            if case .unsatisfiable = error.fault { return nil }
            throw error
        }
    }
}

/// Draws tokens from masks at random, and comes to an end.
enum Walk {
    /// - Parameter length: tokens; behind them the walk closes what is open.
    static func run(
        _ start: GrammarConstraint, _ trie: TokenTrie, length: Int,
        _ random: inout SeededGenerator
    ) throws -> [UInt8] {
        var constraint = start
        var text: [UInt8] = []
        for step in 0..<6_000 {
            let isEnding = step > length || Int.random(in: 0..<4, using: &random) == 0
            if constraint.isComplete || constraint.mayEnd && isEnding {
                #expect(constraint.fault == nil)
                return text
            }
            let allowed = constraint.allowedTokens().tokens
            var token = try #require(allowed.randomElement(using: &random))
            if isEnding {
                // Within a string its end, elsewhere that of an object or an array.
                let marks = isInString(text) ? "\"" : "}]"
                let closing = allowed.first {
                    trie.text(of: $0).count == 1
                        && marks.utf8.contains(trie.text(of: $0).first ?? 0)
                }
                token = closing ?? token
            }
            constraint.advance(Int(token))
            text.append(contentsOf: trie.text(of: token))
        }
        Issue.record("no end: \(String(decoding: text.suffix(200), as: UTF8.self))")
        return text
    }

    private static func isInString(_ text: [UInt8]) -> Bool {
        var isInside = false
        var isEscaped = false
        for byte in text {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isInside.toggle()
            }
        }
        return isInside
    }
}
