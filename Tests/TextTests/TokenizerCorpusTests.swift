import Testing

@testable import Text

/// Whole files, as the reference tokenises them.
@Suite("Corpus against the reference", .enabled(if: TestData.hasReference))
struct TokenizerCorpusTests {
    static let validation = "\(TestData.data)/data/corpus/valid.txt.xz"

    @Test("has the reference's ids in every document", arguments: TestData.folders.keys.sorted())
    func validation(name: String) throws {
        let tokenizer = try TestData.tokenizer(name)
        let expected = try ReferenceList.ids("\(name).corpus.ids")
        var documents = try Corpus(path: Self.validation).documents()
        var count = 0
        while let document = try documents.nextUTF8() {
            try #require(count < expected.count)
            try #require(tokenizer.encode(utf8: document) == expected[count], "document \(count)")
            count += 1
        }
        #expect(count == expected.count && count == 101)
    }

    /// The tokens that the published perplexities were measured on.
    @Test("windows hold the recipe's tokens", arguments: [2_048, 777])
    func recipe(length: Int) throws {
        let tokenizer = try TestData.tokenizer("tiny")
        let expected = try ReferenceList.ids("recipe.ids")
        let corpora = [
            Corpus(path: Self.validation, characterLimit: 1_200_000),
            Corpus(path: "\(TestData.data)/data/wikitext2/wiki.test.raw"),
        ]
        for (corpus, tokens) in zip(corpora, expected) {
            var windows = TokenWindows(try TokenStream(corpus, tokenizer), length: length)
            var index = 0
            while let window = try windows.next() {
                let start = index * length
                try #require(window.tokens == Array(tokens[start...start + length]))
                try #require(window.inputs.count == length && window.targets.count == length)
                index += 1
            }
            #expect(index == (tokens.count - 1) / length)
        }
    }

    @Test("overlapping and skipping windows", arguments: [1, 100, 256, 1_000])
    func strides(stride: Int) throws {
        let tokenizer = try TestData.tokenizer("tiny")
        let tokens = try ReferenceList.ids("recipe.ids")[0]
        let corpus = Corpus(path: Self.validation)
        var windows = TokenWindows(
            try TokenStream(corpus, tokenizer), length: 256, stride: stride)
        for index in 0..<100 {
            let window = try #require(try windows.next())
            try #require(window.tokens == Array(tokens[index * stride...index * stride + 256]))
        }
    }

    /// Byte-level tokenizers lose nothing but what normalisation takes.
    @Test("decoding gives the text back", arguments: ["tiny", "qwen2", "gpt2"])
    func roundTrip(name: String) throws {
        let tokenizer = try TestData.tokenizer(name)
        let isNormalized = name != "gpt2"
        for text in try ReferenceList.texts("random.texts") {
            let normal =
                isNormalized
                ? text.withUnsafeBufferPointer { ComposedForm.compose($0) } ?? text : text
            let decoded = try tokenizer.decode(tokenizer.encode(utf8: text, parseSpecial: false))
            try #require(decoded.utf8.elementsEqual(normal))
        }
    }
}
