import Foundation
import Testing

@testable import Text

/// What is broken or not implemented is refused by name, in one line.
@Suite("Tokenizer errors")
struct TokenizerErrorTests {
    /// A tokenizer of three letters, to be broken one part at a time.
    private static let sound = """
        {"added_tokens": [{"id": 4, "content": "<e>", "special": true}], "normalizer": {"type": "NFC"},
         "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
         "post_processor": null, "decoder": {"type": "ByteLevel"},
         "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3}, "merges": ["a b"]}}
        """

    private func load(_ json: String) throws -> Tokenizer {
        try Tokenizer(json: Array(json.utf8), file: "t.json")
    }

    @Test("the sound one works")
    func sound() throws {
        let tokenizer = try load(Self.sound)
        #expect(tokenizer.encode("abc<e>b") == [3, 2, 4, 1])
        #expect(tokenizer.vocabularySize == 5)
        #expect(tokenizer.id(of: "ab") == 3 && tokenizer.token(for: 3) == "ab")
        #expect(tokenizer.token(for: 5) == nil && tokenizer.id(of: "x") == nil)
    }

    @Test(
        "names the broken part",
        arguments: [
            ("\"BPE\"", "\"Unigram\"", "model type is not supported: Unigram"),
            ("\"NFC\"", "\"NFKC\"", "normalizer is not supported: NFKC"),
            (
                "\"type\": \"ByteLevel\", \"add", "\"type\": \"Digits\", \"add",
                "pre_tokenizer is not supported: Digits"
            ),
            (
                "{\"type\": \"ByteLevel\"}", "{\"type\": \"WordPiece\"}",
                "decoder is not supported: WordPiece"
            ),
            ("{\"type\": \"ByteLevel\"}", "null", "decoder is not supported: none"),
            (
                "\"post_processor\": null", "\"post_processor\": {\"type\": \"BertProcessing\"}",
                "post_processor is not supported: BertProcessing"
            ),
            ("[\"a b\"]", "[\"a x\"]", "merge 0: \"x\" is not in the vocabulary"),
            ("[\"a b\"]", "[\"a b\", \"b c\"]", "merge 1: its result \"bc\" is not"),
            ("[\"a b\"]", "[\"ab\"]", "merge 0: two tokens and one space"),
            ("[\"a b\"]", "[[\"a\", \"b\", \"c\"]]", "merge 0: two tokens expected"),
            ("[\"a b\"]", "[7]", "merge 0: two tokens expected, found a number"),
            ("[\"a b\"]", "{}", "model.merges: an array was expected, found an object"),
            ("\"b\": 1", "\"b\": 0", "id 0 belongs to \"a\" and to \"b\""),
            ("\"b\": 1", "\"a\": 1", "token \"a\" has ids 0 and 1"),
            ("\"b\": 1", "\"b\": -1", "token \"b\" has id -1, allowed are 0 ..< 4194304"),
            ("\"b\": 1", "\"b\": 99999999999999999999", "allowed are 0 ..< 4194304"),
            ("\"b\": 1", "\"b\": 1.5", "token \"b\" has id 1.5"),
            ("\"b\": 1", "\"b\": \"1\"", "model.vocab \"b\": an id was expected, found a string"),
            ("\"id\": 4", "\"id\": 2", "id 2 belongs to \"c\" and to \"<e>\""),
            ("\"special\": true", "\"special\": 1", "added_tokens[0].special: true or false"),
            ("\"merges\"", "\"dropout\": 0.1, \"merges\"", "model.dropout is not supported: 0.1"),
            ("\"merges\"", "\"unk_token\": \"u\", \"merges\"", "unk_token \"u\" is not in"),
            ("\"merges\"", "\"merges\": [], \"x", "broken JSON at byte"),
            ("{\"added", "[{\"added", "broken JSON at byte"),
        ])
    func broken(part: String, replacement: String, message: String) throws {
        let json = Self.sound.replacingOccurrences(of: part, with: replacement)
        let error = try #require(throws: TokenizerError.self) { try load(json) }
        #expect(error.description.hasPrefix("t.json: "))
        #expect(error.description.contains(message), "\(error)")
        #expect(!error.description.contains("\n"))
    }

    @Test("an unknown pattern is named in full")
    func unknownPattern() throws {
        let json = Self.sound.replacingOccurrences(
            of: "{\"type\": \"ByteLevel\", \"add_prefix_space\": false}",
            with: """
                {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": "\\\\p{L}+\\n"}, "behavior": "Isolated"},
                {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]}
                """)
        let error = try #require(throws: TokenizerError.self) { try load(json) }
        #expect(error.description.contains("\\\\p{L}+\\n"), "\(error)")
    }

    @Test("deep nesting is refused, not followed", arguments: [65, 1_000_000])
    func nesting(depth: Int) throws {
        let json = "{\"a\":" + String(repeating: "[", count: depth)
        let error = try #require(throws: TokenizerError.self) { try load(json) }
        #expect(error.description.contains("nested deeper than 64"))
    }

    @Test("missing files and folders")
    func missing() throws {
        #expect(throws: TokenizerError.notFound(path: "/nowhere")) {
            try Tokenizer(path: "/nowhere")
        }
        let folder = try TemporaryFolder()
        #expect(throws: TokenizerError.notFound(path: folder.path)) {
            try Tokenizer(path: folder.path)
        }
    }

    @Test("roles come from the configuration beside it")
    func roles() throws {
        let folder = try TemporaryFolder()
        _ = try folder.write("tokenizer.json", Self.sound.utf8)
        #expect(try Tokenizer(path: folder.path).eosToken == nil)
        _ = try folder.write("config.json", "{\"eos_token_id\": [2, 1]}".utf8)
        #expect(try Tokenizer(path: folder.path).eosToken == 2)
        _ = try folder.write(
            "tokenizer_config.json",
            "{\"eos_token\": {\"content\": \"<e>\"}, \"bos_token\": \"a\", \"add_bos_token\": true}"
                .utf8)
        let tokenizer = try Tokenizer(path: folder.path)
        #expect(tokenizer.eosToken == 4 && tokenizer.bosToken == 0)
        #expect(tokenizer.encode("c", addSpecialTokens: true) == [0, 2])
        #expect(tokenizer.encode("c") == [2])
        _ = try folder.write("tokenizer_config.json", "{\"eos_token\": \"nope\"}".utf8)
        let error = try #require(throws: TokenizerError.self) { try Tokenizer(path: folder.path) }
        #expect(error.description.contains("eos_token \"nope\" is not in the vocabulary"))
    }
}
