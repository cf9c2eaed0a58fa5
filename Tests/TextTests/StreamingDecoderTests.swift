import Testing

@testable import Text

@Suite("StreamingDecoder")
struct StreamingDecoderTests {
    private func stream(
        _ ids: [TokenID], _ tokenizer: Tokenizer, skipping: Bool = false
    ) throws -> [String] {
        var decoder = StreamingDecoder(tokenizer, skipSpecialTokens: skipping)
        var pieces: [String] = []
        for id in ids { pieces.append(try decoder.append(id)) }
        pieces.append(decoder.finish())
        return pieces
    }

    @Test("holds back half a character")
    func heldBack() throws {
        let tokenizer = try Tokenizer(path: TinyModel.folder)
        let ids = tokenizer.encode("a😀é")
        let pieces = try stream(ids, tokenizer)
        #expect(pieces.joined() == "a😀é")
        #expect(!pieces.contains { $0.contains("\u{FFFD}") })
        // Cut inside the emoji: one replacement character for its maximal part.
        let broken = try stream(Array(ids.prefix(3)), tokenizer)
        #expect(broken == ["a", "", "", "\u{FFFD}"])
    }

    @Test("an unknown id is an error", arguments: [4_096, -1, TokenID.max])
    func unknownID(id: TokenID) throws {
        let tokenizer = try Tokenizer(path: TinyModel.folder)
        let error = TokenizerError.unknownID(id: Int(id), vocabularySize: 4_096)
        #expect(throws: error) { try tokenizer.decode([5, id]) }
        #expect(throws: error) { try stream([5, id], tokenizer) }
    }

    @Test("a tokenizer that stands in decodes every id as a whole text at once")
    func standIn() throws {
        let tokenizer = try Tokenizer(path: TinyModel.folder)
        let size = TokenID(tokenizer.vocabularySize)
        let standIn = tokenizer.standingIn()
        var pieces = StreamingDecoder(standIn)
        for id in 0..<2 * size {
            let piece = try pieces.append(id)
            #expect(!piece.isEmpty && !piece.contains("\u{FFFD}") && !piece.hasPrefix("<|"))
        }
        let ids: [TokenID] = [1000, 700, 300]
        #expect(try standIn.decode(ids.map { $0 + 5 * size }) == tokenizer.decode(ids))
        #expect(standIn.bytes(of: 1000 + size) == tokenizer.bytes(of: 1000))
        #expect(standIn.bytes(of: -1) == nil && tokenizer.bytes(of: 1000 + size) == nil)
        #expect(standIn.encode("The lighthouse") == tokenizer.encode("The lighthouse"))
    }

    @Test("leaves special tokens out when asked to")
    func skipping() throws {
        let tokenizer = try Tokenizer(path: TinyModel.folder)
        let ids = tokenizer.encode("<|im_start|>hi<|im_end|>")
        #expect(ids.first == 1 && ids.last == 2)
        #expect(try tokenizer.decode(ids) == "<|im_start|>hi<|im_end|>")
        #expect(try tokenizer.decode(ids, skipSpecialTokens: true) == "hi")
        #expect(try stream(ids, tokenizer, skipping: true).joined() == "hi")
        let plain = tokenizer.encode("<|im_start|>", parseSpecial: false)
        #expect(plain.count > 1 && !plain.contains(1))
    }

    /// Any ids, cut anywhere: the stream up to the cut and finished there is the decoded prefix.
    @Test(
        "equals decode on random cuts", .enabled(if: TestData.hasReference),
        arguments: TokenizerReferenceTests.names)
    func randomCuts(name: String) throws {
        let tokenizer = try TestData.tokenizer(name)
        var generator = SeededGenerator(seed: 11)
        let texts = try ReferenceList.ids("\(name)/random.ids").prefix(1_000)
        let lists = try ReferenceList.ids("\(name)/decode.ids")
        for ids in texts + lists {
            let cut = Int.random(in: 0...ids.count, using: &generator)
            for part in [ids, Array(ids[..<cut]), Array(ids[cut...])] {
                let whole = try tokenizer.decode(part)
                let pieces = try stream(part, tokenizer)
                try #require(pieces.joined().utf8.elementsEqual(whole.utf8))
                let skipped = try tokenizer.decode(part, skipSpecialTokens: true)
                let rest = try stream(part, tokenizer, skipping: true).joined()
                try #require(rest.utf8.elementsEqual(skipped.utf8))
            }
        }
    }

    @Test(
        "SentencePiece: drops the dummy space, decodes bytes as they come",
        .enabled(if: TestData.hasData))
    func sentencePiece() throws {
        let tokenizer = try Tokenizer(path: "\(TestData.data)/data/tokenizers/llama2")
        for text in ["Hello", " Hello", "😶‍🌫️ x", "", "  ", "a\u{0}b"] {
            let ids = tokenizer.encode(text)
            #expect(try tokenizer.decode(ids) == text)
            #expect(try stream(ids, tokenizer).joined() == text)
        }
        #expect(tokenizer.encode("Hi", addSpecialTokens: true).first == 1)
        #expect(tokenizer.bosToken == 1 && tokenizer.eosToken == 2)
        let bytes = try "😶".utf8.map { byte in
            try #require(
                tokenizer.id(of: String(decoding: ByteToken.spelling(of: byte), as: UTF8.self)))
        }
        #expect(try stream(bytes, tokenizer) == ["", "", "", "😶", ""])
    }
}
