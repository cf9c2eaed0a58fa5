/// How tokens become text again.
struct TokenDecoder: Sendable {
    enum Bytes: Sendable {
        /// Tokens are bytes; what is not UTF-8 becomes U+FFFD, one for each maximal broken part.
        case level
        /// Tokens are text, except byte tokens. Hugging Face: a run of byte tokens that is not UTF-8
        /// as a whole becomes one U+FFFD for each byte.
        case fallbackWholeRun
        /// SentencePiece: only the bytes that begin no scalar become U+FFFD, one each.
        case fallbackEachByte
    }

    enum Leading: Sendable {
        case kept
        /// This many spaces at the start of the text are dropped, as far as there are so many.
        case dropsSpaces(Int)
    }

    let bytes: Bytes
    let leading: Leading
    /// What each token contributes, by id; missing ids are absent.
    let parts: TokenParts
}

/// The contribution of each token to decoded text, by id, in one block of memory.
struct TokenParts: Sendable {
    enum Part {
        case text(ArraySlice<UInt8>)
        case byte(UInt8)
    }

    private var bytes: [UInt8] = []
    private var ends: [UInt32] = []
    private var byteTokens: [TokenID: UInt8] = [:]
    /// Like `text`, for the first token of a text; only where that differs (Metaspace).
    private var firstTexts: [TokenID: [UInt8]] = [:]

    init(capacity: Int) { ends.reserveCapacity(capacity) }

    /// Adds the next id's text; ids without a token get an empty one.
    mutating func append(_ text: some Collection<UInt8>) {
        bytes.append(contentsOf: text)
        ends.append(UInt32(bytes.count))
    }

    mutating func setByte(_ byte: UInt8, of id: TokenID) { byteTokens[id] = byte }
    mutating func setFirst(_ text: [UInt8], of id: TokenID) { firstTexts[id] = text }

    func part(_ id: TokenID, isFirst: Bool) -> Part {
        if !byteTokens.isEmpty, let byte = byteTokens[id] { return .byte(byte) }
        if isFirst, let first = firstTexts[id] { return .text(first[...]) }
        let start = id == 0 ? 0 : Int(ends[Int(id) - 1])
        return .text(bytes[start..<Int(ends[Int(id)])])
    }
}
