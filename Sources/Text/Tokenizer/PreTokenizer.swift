/// How normalised text is cut into the words that byte-pair merging sees.
enum PreTokenizer: Sendable {
    /// By a pattern; a space is put in front of text that has none when `addsSpace`.
    case pattern(SplitPattern, addsSpace: Bool)
    /// Not at all (`ByteLevel` without `use_regex`, or none).
    case whole(addsSpace: Bool)
    /// Spaces become `mark`; words begin at marks when `splits`.
    case metaspace(mark: [UInt8], prepends: Prepending, splits: Bool)

    enum Prepending: Sendable { case always, atStart, never }
}

/// Whether words may be cut before a mark that follows something else although the tokenizer merges
/// over the whole text: true if no token reaches across such a place, and then the result is the same.
/// It turns text of any length into short words that the cache knows.
struct WordMark: Sendable {
    let bytes: [UInt8]

    /// "▁", U+2581, which stands for a space in SentencePiece vocabularies.
    static let sentencePiece = WordMark(bytes: [0xE2, 0x96, 0x81])

    /// Whether the token holds the mark right after something that is not the mark.
    func isInside(_ token: some Collection<UInt8>) -> Bool {
        let token = Array(token)
        var position = 0
        var isAfterOther = false
        while position < token.count {
            if token[position...].starts(with: bytes) {
                if isAfterOther { return true }
                position += bytes.count
            } else {
                isAfterOther = true
                position += 1
            }
        }
        return false
    }

    /// The end of the word at `start`: the next mark that follows something else, or the end.
    /// - Parameter everyMark: cut before each mark, also between two.
    func end(
        ofWordAt start: Int, in text: UnsafeBufferPointer<UInt8>, everyMark: Bool
    ) -> Int {
        var position = start
        while isMark(at: position, in: text) {
            position += bytes.count
            if everyMark { break }
        }
        while position < text.count, !isMark(at: position, in: text) { position += 1 }
        return position
    }

    @inline(__always)
    private func isMark(at position: Int, in text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard position < text.count, text[position] == bytes[0],
            position + bytes.count <= text.count
        else { return false }
        for offset in 1..<max(bytes.count, 1) where text[position + offset] != bytes[offset] {
            return false
        }
        return true
    }
}
