import Foundation
import Testing

@testable import Text

/// A folder that vanishes with the test.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "minima-text-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
        let file = "\(path)/\(name)"
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        return file
    }
}

@Suite("Corpus")
struct CorpusTests {
    let folder: TemporaryFolder
    private let separator = DocumentSeparator.text

    init() throws { folder = try TemporaryFolder() }

    private func documents(_ corpus: Corpus) throws -> [String] {
        var reader = try corpus.documents()
        var documents: [String] = []
        while let document = try reader.next() { documents.append(document) }
        return documents
    }

    private func plain(_ text: String, limit: Int? = nil) throws -> [String] {
        let file = try folder.write("corpus.txt", text.utf8)
        return try documents(Corpus(path: file, characterLimit: limit))
    }

    @Test("splits plain text at the separator")
    func plainText() throws {
        #expect(try plain("one") == ["one"])
        #expect(try plain("one\n\ntwo\n") == ["one\n\ntwo\n"])
        #expect(try plain("one\(separator)two") == ["one", "two"])
        #expect(try plain("one\(separator)two\(separator)") == ["one", "two"])
        #expect(try plain("one\(separator)\(separator)two") == ["one", "", "two"])
        // The separator needs all of its line ends.
        #expect(try plain("one\n<|endoftext|>\n\ntwo") == ["one\n<|endoftext|>\n\ntwo"])
        #expect(try plain("one\n\(separator)\ntwo") == ["one\n", "\ntwo"])
    }

    @Test("cuts at a number of characters, not bytes")
    func characterLimit() throws {
        #expect(try plain("äöü€𝄞x", limit: 5) == ["äöü€𝄞"])
        #expect(try plain("äöü", limit: 3) == ["äöü"])
        #expect(try plain("one\(separator)two", limit: 22) == ["one", "tw"])
        #expect(try plain("one\(separator)two", limit: 20) == ["one"])
    }

    @Test("separators across chunk borders are found", arguments: 0..<18)
    func chunkBorders(shift: Int) throws {
        let first = String(repeating: "x", count: ByteSource.chunkSize - shift)
        #expect(try plain("\(first)\(separator)second") == [first, "second"])
    }

    @Test("reads concatenated gzip members and xz streams")
    func compressed() throws {
        let expected = ["Alpha café.", "Beta, the second."]
        // By content, whatever the name.
        let gzip = try folder.write("a.gz", CompressedFixtures.twoMembers)
        let xz = try folder.write("a.txt", CompressedFixtures.twoStreams)
        #expect(try documents(Corpus(path: gzip)) == expected)
        #expect(try documents(Corpus(path: xz)) == expected)
        let many = try folder.write("many.gz", CompressedFixtures.manyDocuments)
        let word = String(repeating: "word ", count: 2_000)
        #expect(try documents(Corpus(path: many)) == Array(repeating: word, count: 150))
    }

    @Test("reads JSON lines")
    func jsonLines() throws {
        let text = """
            {"text": "one\\nline \\u00e9\\ud83d\\ude00", "id": 1}

            {"id": {"text": 3}, "text": ""}
            {"text":"last","body":"other"}
            """
        let file = try folder.write("corpus.jsonl", text.utf8)
        #expect(try documents(Corpus(path: file)) == ["one\nline é😀", "", "last"])
        let error = CorpusError.malformedLine(file: file, line: 1, cause: "no member \"body\"")
        #expect(throws: error) {
            try documents(Corpus(path: file, format: .jsonLines(field: "body")))
        }
    }

    // MARK: Failures

    private func failure(of name: String, _ bytes: some Sequence<UInt8>) throws -> CorpusError {
        let file = try folder.write(name, bytes)
        return try #require(throws: CorpusError.self) { try documents(Corpus(path: file)) }
    }

    @Test("names the file and the cause of every failure")
    func failures() throws {
        let file = "\(folder.path)/c.txt"
        #expect(throws: CorpusError.missing(file: file)) { try documents(Corpus(path: file)) }
        #expect(throws: CorpusError.self) { try documents(Corpus(path: folder.path)) }
        #expect(try failure(of: "c.txt", []) == .empty(file: file))
        #expect(try failure(of: "c.txt", separator.utf8) == .empty(file: file))
        #expect(
            try failure(of: "c.txt", Array("ab\(separator)é".utf8) + [0xFF])
                == .malformedUTF8(file: file, offset: 21))
        #expect(
            try failure(of: "c.txt", Array("é".utf8.dropLast()))
                == .malformedUTF8(
                    file: file, offset: 0))
        #expect(
            try failure(of: "c.txt", CompressedFixtures.twoMembers.dropLast(5))
                == .truncated(file: file, format: "gzip"))
        #expect(
            try failure(of: "c.txt", CompressedFixtures.twoStreams.dropLast(5))
                == .truncated(file: file, format: "xz"))
        #expect(
            try failure(of: "c.txt", CompressedFixtures.manyDocuments.prefix(1_000))
                == .truncated(file: file, format: "gzip"))
    }

    @Test("damaged compressed data is an error or the same text, never a crash")
    func damaged() throws {
        var generator = SeededGenerator(seed: 3)
        for fixture in [CompressedFixtures.twoMembers, CompressedFixtures.twoStreams] {
            for _ in 0..<200 {
                var bytes = fixture
                let index = Int.random(in: bytes.indices, using: &generator)
                bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                let file = try folder.write("damaged", bytes)
                do {
                    _ = try documents(Corpus(path: file))
                } catch let error as CorpusError {
                    #expect(error.description.hasPrefix(file))
                    #expect(!error.description.contains("\n"))
                }
            }
        }
    }

    @Test(
        "names the broken line",
        arguments: ["{", "[]", "{\"text\": 3}", "{\"text\": \"\\ud800\"}"])
    func brokenLine(line: String) throws {
        let error = try failure(of: "c.jsonl", "{\"text\": \"a\"}\n\n\(line)\n".utf8)
        guard case .malformedLine(_, 3, _) = error else {
            Issue.record("\(error)")
            return
        }
    }
}

@Suite("TokenWindows")
struct TokenWindowsTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func windows(
        _ text: String, length: Int, stride: Int? = nil
    ) throws -> [TokenWindow] {
        let file = try folder.write("c.txt", text.utf8)
        let stream = try TokenStream(Corpus(path: file), try Tokenizer(path: TinyModel.folder))
        var windows = TokenWindows(stream, length: length, stride: stride)
        return try windows.next(1_000)
    }

    @Test("only several documents are ended by the end token")
    func endTokens() throws {
        let tokenizer = try Tokenizer(path: TinyModel.folder)
        let (one, two) = (tokenizer.encode("first text"), tokenizer.encode("second"))
        let single = try windows("first text", length: one.count - 1)
        #expect(single.map(\.tokens) == [one])
        let separated = try windows(
            "first text\(DocumentSeparator.text)", length: one.count - 1)
        #expect(separated.map(\.tokens) == [one])
        let both = one + [0] + two + [0]
        let double = try windows(
            "first text\(DocumentSeparator.text)second", length: both.count - 1)
        #expect(double.map(\.tokens) == [both])
    }

    @Test("a window needs one token more than its length")
    func partialWindows() throws {
        let tokens = try Tokenizer(path: TinyModel.folder).encode("a b c d e f g h")
        #expect(tokens.count == 8)
        let text = "a b c d e f g h"
        #expect(try windows(text, length: 4).count == 1)
        #expect(try windows(text, length: 7).count == 1)
        #expect(try windows(text, length: 8).isEmpty)
        #expect(try windows(text, length: 3).count == 2)
        #expect(try windows(text, length: 4, stride: 1).count == 4)
        #expect(try windows(text, length: 1, stride: 100).count == 1)
    }

    @Test("several documents without an end token are an error")
    func noEndToken() throws {
        let file = try folder.write("c.txt", "a\(DocumentSeparator.text)b".utf8)
        let tokenizer = try Tokenizer(json: try TestData.bytes(TinyModel.json), file: "tiny")
        var stream = try TokenStream(Corpus(path: file), tokenizer)
        #expect(throws: CorpusError.noEndOfDocument(file: file)) { try stream.nextDocument() }
    }
}
