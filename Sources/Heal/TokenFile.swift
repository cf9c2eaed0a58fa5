// The tokens of one text file, on disk: made once for a tokenizer and a text, by all cores at once, before
// training begins. The order of the windows is then a function of the seed alone, and training waits for no
// tokenizer: 120 MB of text take less than a step's compilation would.
import Artifacts
import Dispatch
import Foundation
import Tensors
import Text

/// Tokens of a text, mapped into memory: documents without special tokens, each followed by the
/// end-of-document token where there are several, as `minima evaluate` reads them.
package final class TokenFile {
    /// The text's.
    package let source: String
    package let count: Int
    private let file: SafetensorsFile
    private let isWide: Bool
    /// Where each document begins.
    private let documents: [Int]

    private static let (tokens, starts) = ("tokens", "documents")

    /// - Parameter source: file of text, for messages.
    package init(_ path: String, source: String) throws {
        file = try SafetensorsFile(path)
        self.source = source
        guard let info = file.info(Self.tokens), info.shape.count == 1,
            [.uint16, .uint32].contains(info.elementType), file.info(Self.starts) != nil
        else { throw HealError.foreignTokens(file: path) }
        count = info.shape[0]
        isWide = info.elementType == .uint32
        documents = try file.tensor(named: Self.starts).elements(as: Int.self)
    }

    /// Tokens `range`.
    package func tokens(_ range: Range<Int>) throws -> [Int32] {
        try file.withBytes(of: Self.tokens) { bytes in
            isWide
                ? bytes.bindMemory(to: UInt32.self)[range].map { Int32(bitPattern: $0) }
                : bytes.bindMemory(to: UInt16.self)[range].map { Int32($0) }
        }
    }

    /// Number of the document that a token belongs to, from 0.
    func document(of token: Int) -> Int {
        var (low, high) = (0, documents.count)
        while low < high {
            let middle = (low + high) / 2
            if documents[middle] <= token { low = middle + 1 } else { high = middle }
        }
        return max(0, low - 1)
    }

    // MARK: Making

    /// The tokens of `corpus`, from the cache where an earlier command made them.
    /// - Parameters:
    ///   - identity: of the tokenizer.
    ///   - progress: bytes of text encoded so far.
    package static func cached(
        _ corpus: Corpus, _ tokenizer: Tokenizer, identity: Fingerprint, in root: String,
        progress: (_ bytes: Int) throws -> Void
    ) throws -> TokenFile {
        let text = try Fingerprint(ofFile: corpus.path)
        let key = Fingerprint(hashing: [
            Array("minima tokens 1".utf8), Array(identity.hex.utf8), Array(text.hex.utf8),
            Array("\(corpus.format) \(corpus.characterLimit ?? -1)".utf8),
        ])
        let path = "\(root)/tokens-\(key.hex.prefix(24)).safetensors"
        if !FileManager.default.fileExists(atPath: path) {
            try FileManager.default.createDirectory(
                atPath: root, withIntermediateDirectories: true)
            // Of the processes on a host the first makes it, and the others find it.
            let lock = try FileLock.wait("\(path).lock") { try progress(0) }
            try withExtendedLifetime(lock) {
                guard !FileManager.default.fileExists(atPath: path) else { return }
                try write(corpus, tokenizer, to: path, progress: progress)
            }
        }
        return try TokenFile(path, source: corpus.path)
    }

    /// The files of a model's folder that decide how text is encoded.
    package static func identity(ofTokenizer folder: String) throws -> Fingerprint {
        let names = [
            "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
            "special_tokens_map.json",
        ]
        return Fingerprint(
            hashing: try names.flatMap { name -> [[UInt8]] in
                let path = "\(folder)/\(name)"
                guard FileManager.default.fileExists(atPath: path) else { return [] }
                return [Array(name.utf8), Array(try Fingerprint(ofFile: path).hex.utf8)]
            })
    }

    private static func write(
        _ corpus: Corpus, _ tokenizer: Tokenizer, to path: String,
        progress: (_ bytes: Int) throws -> Void
    ) throws {
        var encoder = try ParallelEncoder(corpus, tokenizer)
        var (tokens, starts, bytes): ([Int32], [Int], Int) = ([], [], 0)
        while let documents = try encoder.next() {
            for document in documents {
                starts.append(tokens.count)
                tokens += document.tokens
                bytes += document.bytes
            }
            try progress(bytes)
        }
        try write(tokens, documents: starts, vocabulary: tokenizer.vocabularySize, to: path)
    }

    /// Tokens that no tokenizer made: what a model wrote.
    /// - Parameters:
    ///   - documents: where each begins.
    ///   - vocabulary: all tokens are below.
    package static func write(
        _ tokens: [Int32], documents: [Int], vocabulary: Int, to path: String
    ) throws {
        let isWide = vocabulary > 1 << 16
        let type = isWide ? ElementType.uint32 : .uint16
        guard
            let info = TensorInfo(name: Self.tokens, elementType: type, shape: [tokens.count]),
            let places = TensorInfo(
                name: Self.starts, elementType: .int64, shape: [documents.count])
        else { throw HealError.foreignTokens(file: path) }
        let writer = try SafetensorsWriter(path, declaring: [info, places])
        if isWide {
            try tokens.withUnsafeBytes { try writer.write($0, to: Self.tokens) }
        } else {
            try tokens.map { UInt16(truncatingIfNeeded: $0) }.withUnsafeBytes {
                try writer.write($0, to: Self.tokens)
            }
        }
        try writer.write(try Tensor(documents), named: Self.starts)
        try writer.finish()
    }
}

/// Encodes the documents of a corpus some megabytes at a time, on all cores.
private struct ParallelEncoder {
    struct Document: Sendable {
        var tokens: [TokenID]
        let bytes: Int
    }

    private let tokenizer: Tokenizer
    private var reader: DocumentReader
    private let separator: TokenID?
    /// Read ahead, to know whether there are several documents.
    private var ahead: [[UInt8]] = []

    private static let bytesAtOnce = 8 << 20

    init(_ corpus: Corpus, _ tokenizer: Tokenizer) throws {
        self.tokenizer = tokenizer
        reader = try corpus.documents()
        while ahead.count < 2, let document = try reader.nextUTF8() { ahead.append(document) }
        if ahead.count > 1, tokenizer.eosToken == nil {
            throw CorpusError.noEndOfDocument(file: corpus.path)
        }
        separator = ahead.count > 1 ? tokenizer.eosToken : nil
    }

    /// The next documents, `nil` after the last.
    mutating func next() throws -> [Document]? {
        var (texts, bytes) = (ahead, ahead.reduce(0) { $0 + $1.count })
        ahead = []
        while bytes < Self.bytesAtOnce, let document = try reader.nextUTF8() {
            texts.append(document)
            bytes += document.count
        }
        guard !texts.isEmpty else { return nil }
        let (tokenizer, separator, all) = (tokenizer, separator, texts)
        let encoded = UnsafeMutableBufferPointer<Document>.allocate(capacity: all.count)
        defer { encoded.deallocate() }
        nonisolated(unsafe) let places = encoded
        DispatchQueue.concurrentPerform(iterations: all.count) { index in
            var tokens = tokenizer.encode(utf8: all[index])
            if let separator { tokens.append(separator) }
            places.initializeElement(
                at: index, to: Document(tokens: tokens, bytes: all[index].count))
        }
        defer { encoded.deinitialize() }
        return Array(encoded)
    }
}
