/// Reads the documents of a corpus one after the other, holding one (and one chunk) in memory.
package struct DocumentReader {
    private let corpus: Corpus
    private let source: ByteSource
    /// Text that was read and not handed out: `buffer[start...]`.
    private var buffer: [UInt8] = []
    private var start = 0
    /// Up to here `buffer` is known to hold no separator that starts before it.
    private var searched = 0
    /// Bytes of the text before `buffer`.
    private var dropped = 0
    private var isAtEnd = false
    private var line = 0
    private var charactersLeft: Int?
    private var hasText = false

    init(_ corpus: Corpus) throws(CorpusError) {
        self.corpus = corpus
        source = try ByteSource(file: corpus.path)
        charactersLeft = corpus.format == .plainText ? corpus.characterLimit : nil
    }

    /// The next document, nil after the last.
    package mutating func next() throws(CorpusError) -> String? {
        try nextUTF8().map { String(decoding: $0, as: UTF8.self) }
    }

    /// The next document as well-formed UTF-8, nil after the last.
    package mutating func nextUTF8() throws(CorpusError) -> [UInt8]? {
        let document =
            switch corpus.format {
            case .plainText: try nextPlain()
            case .jsonLines(let field): try nextText(field)
            }
        if let document {
            if !document.isEmpty { hasText = true }
        } else if !hasText {
            throw .empty(file: corpus.path)
        }
        return document
    }

    // MARK: Plain text

    private mutating func nextPlain() throws(CorpusError) -> [UInt8]? {
        guard let range = try nextRange(endingAt: DocumentSeparator.bytes) else { return nil }
        return Array(buffer[range])
    }

    /// The bytes up to the next `separator` or the end, nil at the end.
    private mutating func nextRange(
        endingAt separator: [UInt8]
    ) throws(CorpusError) -> Range<Int>? {
        while true {
            if let found = find(separator) {
                defer { (start, searched) = (found + separator.count, found + separator.count) }
                try validate(start..<found)
                return start..<found
            }
            searched = max(start, buffer.count - separator.count + 1)
            if isAtEnd {
                defer { (start, searched) = (buffer.count, buffer.count) }
                // What ends with a separator has no empty document after it.
                if start == buffer.count { return nil }
                try validate(start..<buffer.count)
                return start..<buffer.count
            }
            try readMore()
        }
    }

    private func find(_ separator: [UInt8]) -> Int? {
        buffer.withUnsafeBufferPointer { buffer in
            var position = searched
            let first = separator[0]
            while position + separator.count <= buffer.count {
                if buffer[position] == first,
                    buffer[position..<position + separator.count].elementsEqual(separator)
                {
                    return position
                }
                position += 1
            }
            return nil
        }
    }

    private mutating func readMore() throws(CorpusError) {
        if start > 0 {
            buffer.removeSubrange(..<start)
            dropped += start
            searched -= start
            start = 0
        }
        if buffer.count > Corpus.documentLimit {
            throw .oversized(file: corpus.path, offset: dropped, limit: Corpus.documentLimit)
        }
        let before = buffer.count
        if try !source.read(into: &buffer) { isAtEnd = true }
        if let left = charactersLeft { cut(from: before, left: left) }
    }

    /// Ends the text after `left` more characters, counted by their first bytes.
    private mutating func cut(from position: Int, left: Int) {
        var left = left
        for index in position..<buffer.count where buffer[index] & 0xC0 != 0x80 {
            if left == 0 {
                buffer.removeSubrange(index...)
                isAtEnd = true
                break
            }
            left -= 1
        }
        charactersLeft = left
    }

    private func validate(_ range: Range<Int>) throws(CorpusError) {
        let error = buffer.withUnsafeBufferPointer {
            UTF8Validity.firstError(in: UnsafeBufferPointer(rebasing: $0[range]))
        }
        if let error {
            throw .malformedUTF8(
                file: corpus.path, offset: dropped + range.lowerBound + error)
        }
    }

    // MARK: JSON lines

    /// The next line that is not blank, as it stands in the file, and its number from 1; nil after the last.
    package mutating func nextLine() throws(CorpusError) -> (number: Int, bytes: [UInt8])? {
        while let range = try nextRange(endingAt: [0x0A]) {
            line += 1
            let bytes = Array(buffer[range])
            if bytes.allSatisfy({ [0x20, 0x09, 0x0D].contains($0) }) { continue }
            return (line, bytes)
        }
        return nil
    }

    private mutating func nextText(_ field: String) throws(CorpusError) -> [UInt8]? {
        try nextLine().map { (line) throws(CorpusError) in try text(of: line.bytes, field) }
    }

    private func text(of bytes: [UInt8], _ field: String) throws(CorpusError) -> [UInt8] {
        func failure(_ cause: String) -> CorpusError {
            .malformedLine(file: corpus.path, line: line, cause: cause)
        }
        let document: JSONDocument
        do throws(JSONError) {
            document = try JSONDocument(bytes)
        } catch {
            throw failure("broken JSON at column \(error.offset + 1): \(error.cause)")
        }
        guard document.root.kind == .object else {
            throw failure("an object was expected, found \(document.root.typeName)")
        }
        guard let member = document.root[field] else {
            throw failure("no member \(field.quoted())")
        }
        guard member.kind == .string else {
            throw failure("member \(field.quoted()) is \(member.typeName), not a string")
        }
        var text: [UInt8] = []
        document.readString(at: member.index, into: &text)
        return text
    }
}
