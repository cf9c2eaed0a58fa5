import Foundation
import Testing

@testable import Text

/// Files that were damaged by chance load or are refused; nothing crashes, and what loads can be used.
@Suite("Tokenizer fuzzing")
struct TokenizerFuzzTests {
    private let sample =
        "Hello wörld, it's 1234 \u{0301}<|endoftext|>  \n\t😀 aaaaaaaaaaaaaaaaaaaaaaaa"

    /// A tokenizer of a few hundred tokens, in either style: small, so that damage hits structure.
    private static func small(_ tokenCount: Int) throws -> [UInt8] {
        let data = Data(try TestData.bytes(TinyModel.json))
        var root = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        var model = try #require(root["model"] as? [String: Any])
        let vocab = try #require(model["vocab"] as? [String: Int])
        let merges = try #require(model["merges"] as? [[String]])
        let kept = vocab.filter { $0.value < tokenCount }
        model["vocab"] = kept
        model["merges"] = merges.filter { kept[$0[0] + $0[1]] != nil }
        root["model"] = model
        return Array(
            try JSONSerialization.data(withJSONObject: root, options: [.sortedKeys]))
    }

    private func attempt(_ load: () throws -> Tokenizer) throws -> Bool {
        do {
            let tokenizer = try load()
            let ids = tokenizer.encode(sample, addSpecialTokens: true)
            for id in ids { try #require(id >= 0 && id < tokenizer.vocabularySize) }
            _ = try tokenizer.decode(ids)
            return true
        } catch let error as TokenizerError {
            try #require(!error.description.contains("\n"))
            return false
        }
    }

    @Test("3,000 flipped, cut and spliced tokenizer.json")
    func bytes() throws {
        let sound = try Self.small(300)
        var generator = SeededGenerator(seed: 1)
        var loaded = 0
        for round in 0..<3_000 {
            var bytes = sound
            let position = Int.random(in: bytes.indices, using: &generator)
            switch round % 4 {
            case 0:
                bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 1:
                bytes.removeSubrange(position...)
            case 2:
                let end = min(position + Int.random(in: 1...40, using: &generator), bytes.count)
                bytes.removeSubrange(position..<end)
            default:
                let source = Int.random(in: bytes.indices, using: &generator)
                let end = min(source + 20, bytes.count)
                bytes.insert(contentsOf: sound[source..<end], at: position)
            }
            if try attempt({ try Tokenizer(json: bytes, file: "fuzz") }) { loaded += 1 }
        }
        print("fuzz: \(loaded) of 3,000 damaged files still load")
        #expect(loaded > 0 && loaded < 3_000)
    }

    @Test("1,500 tokenizers of another structure")
    func structure() throws {
        let data = Data(try Self.small(280))
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<1_500 {
            var root = try JSONSerialization.jsonObject(with: data)
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                root = mutate(root, &generator)
            }
            guard root is [String: Any] || root is [Any] else { continue }
            let bytes = Array(try JSONSerialization.data(withJSONObject: root))
            _ = try attempt { try Tokenizer(json: bytes, file: "fuzz") }
        }
    }

    @Test("1,000 damaged SentencePiece models", .enabled(if: TestData.hasData))
    func sentencePiece() throws {
        let whole = try TestData.bytes("\(TestData.data)/data/tokenizers/llama2/tokenizer.model")
        // The head of the pieces and the specifications at the end.
        let sound = try Self.shortened(whole)
        _ = try #require(try attempt { try Tokenizer(sentencePiece: sound, file: "fuzz") })
        var generator = SeededGenerator(seed: 4)
        for round in 0..<1_000 {
            var bytes = sound
            let position = Int.random(in: bytes.indices, using: &generator)
            if round % 3 == 0 {
                bytes.removeSubrange(position...)
            } else {
                bytes[position] = UInt8.random(in: 0...255, using: &generator)
            }
            _ = try attempt { try Tokenizer(sentencePiece: bytes, file: "fuzz") }
        }
    }

    /// The first 600 pieces and everything that is not a piece.
    private static func shortened(_ model: [UInt8]) throws -> [UInt8] {
        var reader = ProtobufReader(model[...])
        var output: [UInt8] = []
        var count = 0
        while let field = try reader.next() {
            let message = try field.message()
            count += 1
            if field.number == 1, count > 600 { continue }
            output.append(UInt8(field.number << 3 | 2))
            var length = message.count
            while length >= 0x80 {
                output.append(UInt8(length & 0x7F | 0x80))
                length >>= 7
            }
            output.append(UInt8(length))
            output.append(contentsOf: message)
        }
        return output
    }

    /// Replaces, removes or swaps something at a random place in the tree.
    private func mutate(_ value: Any, _ generator: inout SeededGenerator) -> Any {
        let goesDeeper = Int.random(in: 0..<6, using: &generator) > 0
        if goesDeeper, var object = value as? [String: Any],
            let key = object.keys.sorted().randomElement(using: &generator),
            let member = object[key]
        {
            switch Int.random(in: 0..<8, using: &generator) {
            case 0: object[key] = nil
            case 1:
                if let other = object.keys.sorted().randomElement(using: &generator) {
                    object[key] = object[other]
                    object[other] = member
                }
            default: object[key] = mutate(member, &generator)
            }
            return object
        }
        if goesDeeper, var array = value as? [Any], !array.isEmpty {
            let index = Int.random(in: array.indices, using: &generator)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: array.remove(at: index)
            case 1: array.append(array[index])
            default: array[index] = mutate(array[index], &generator)
            }
            return array
        }
        let replacements: [Any] = [
            NSNull(), true, false, -1, 0, 1, 7, 1e300, 4_194_303, 2_147_483_648, "", "a", "▁",
            "Sequence", "ByteLevel", "Metaspace", "NFC", "x y", "<0x41>", [Any](), [String: Any](),
            ["type": "Metaspace", "replacement": "▁"], ["type": "Split"], ["a", "b"],
        ]
        return replacements.randomElement(using: &generator) ?? NSNull()
    }
}
