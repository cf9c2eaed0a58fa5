import Testing

@testable import Text

/// Ids and texts equal to those of PyPI `tokenizers`, over random Unicode text.
@Suite("Tokenizer against the reference", .enabled(if: TestData.hasReference))
struct TokenizerReferenceTests {
    static let names = Array(TestData.folders.keys).sorted() + TestData.variants

    @Test("encodes 10,000 random texts alike", arguments: names)
    func randomTexts(name: String) throws {
        let tokenizer = try TestData.tokenizer(name)
        let texts = try ReferenceList.texts("random.texts")
        let framed = try ReferenceList.ids("\(name)/random.ids")
        let plain = try ReferenceList.ids("\(name)/plain.ids")
        #expect(texts.count >= 10_000 && framed.count == texts.count && plain.count == texts.count)
        var failures = 0
        for (index, text) in texts.enumerated() {
            let ids = tokenizer.encode(utf8: text, addSpecialTokens: true)
            let plainIDs = tokenizer.encode(utf8: text, parseSpecial: false)
            if ids == framed[index], plainIDs == plain[index] { continue }
            failures += 1
            if failures <= 3 {
                let string = String(decoding: text, as: UTF8.self)
                let pieces = ids.map { tokenizer.token(for: $0) ?? "?" }
                let wanted = framed[index].map { tokenizer.token(for: $0) ?? "?" }
                Issue.record(
                    "text \(index): \(string.debugDescription)\n\(pieces)\n\(wanted)")
            }
        }
        #expect(failures == 0)
    }

    /// Swift's Unicode tables are newer than the reference's; `ScalarClass` makes up for it. No scalar
    /// is left out here.
    @Test("classifies every scalar alike", arguments: ["tiny", "gpt2"])
    func everyScalar(name: String) throws {
        let tokenizer = try TestData.tokenizer(name)
        let expected = try ReferenceList.ids("\(name).scalars.ids")
        for (index, text) in try ReferenceList.texts("scalars.texts").enumerated() {
            #expect(tokenizer.encode(utf8: text) == expected[index], "text \(index)")
        }
    }

    @Test("composes every scalar alike")
    func everyScalarComposed() throws {
        let expected = try ReferenceList.texts("scalars-nfc.texts")
        for (index, text) in try ReferenceList.texts("scalars.texts").enumerated() {
            let composed = text.withUnsafeBufferPointer { ComposedForm.compose($0) } ?? text
            #expect(composed == expected[index], "text \(index)")
        }
    }

    @Test("decodes 2,000 random id lists alike", arguments: names)
    func randomIDs(name: String) throws {
        let tokenizer = try TestData.tokenizer(name)
        let lists = try ReferenceList.ids("\(name)/decode.ids")
        let texts = try ReferenceList.texts("\(name)/decode.texts")
        let skipped = try ReferenceList.texts("\(name)/decode-skip.texts")
        for (index, ids) in lists.enumerated() {
            let text = try tokenizer.decode(ids)
            try #require(text.utf8.elementsEqual(texts[index]), "\(ids)")
            let rest = try tokenizer.decode(ids, skipSpecialTokens: true)
            try #require(rest.utf8.elementsEqual(skipped[index]), "\(ids)")
        }
    }
}
