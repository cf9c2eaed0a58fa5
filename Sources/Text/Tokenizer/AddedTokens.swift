/// A token that is recognised in the text itself, before anything is split or merged.
struct AddedToken: Sendable, Equatable {
    var content: [UInt8]
    var id: TokenID
    var isSpecial = false
    /// Takes the white space before (`lstrip`) or after (`rstrip`) it as well.
    var stripsLeft = false
    var stripsRight = false
    /// Only where no word character touches it.
    var isSingleWord = false
    /// Looked for in normalised text instead of the text as given.
    var isNormalized = false
}

/// Finds added tokens: leftmost first, the longest of those that start there.
struct AddedTokens: Sendable {
    enum Piece: Equatable {
        case text(Range<Int>)
        case token(TokenID)
    }

    /// Tokens by first byte, longest first.
    private var byFirstByte: [[AddedToken]] = Array(repeating: [], count: 256)
    private(set) var isEmpty = true

    init(_ tokens: [AddedToken]) {
        for token in tokens {
            guard let first = token.content.first else { continue }
            byFirstByte[Int(first)].append(token)
            isEmpty = false
        }
        for byte in byFirstByte.indices {
            byFirstByte[byte].sort { $0.content.count > $1.content.count }
        }
    }

    /// Cuts `text` at its added tokens; empty stretches are left out.
    /// - Parameter parsesSpecial: if false, special tokens are plain text.
    func split(_ text: UnsafeBufferPointer<UInt8>, parsesSpecial: Bool) -> [Piece] {
        if isEmpty { return text.isEmpty ? [] : [.text(0..<text.count)] }
        var pieces: [Piece] = []
        var done = 0
        var position = 0
        while let (token, start) = next(in: text, from: position) {
            var range = start..<start + token.content.count
            position = range.upperBound
            if token.isSpecial && !parsesSpecial { continue }
            if token.isSingleWord, touchesWord(range, in: text) { continue }
            if token.stripsLeft {
                let left = max(WhiteSpace.start(before: range.lowerBound, in: text), done)
                range = min(left, range.lowerBound)..<range.upperBound
            }
            if token.stripsRight {
                range = range.lowerBound..<WhiteSpace.end(after: range.upperBound, in: text)
            }
            if done < range.lowerBound { pieces.append(.text(done..<range.lowerBound)) }
            pieces.append(.token(token.id))
            done = range.upperBound
        }
        if done < text.count { pieces.append(.text(done..<text.count)) }
        return pieces
    }

    private func next(
        in text: UnsafeBufferPointer<UInt8>, from start: Int
    ) -> (AddedToken, Int)? {
        byFirstByte.withUnsafeBufferPointer { byFirstByte in
            for position in start..<text.count {
                let candidates = byFirstByte[Int(text[position])]
                if candidates.isEmpty { continue }
                let rest = text[position...]
                if let token = candidates.first(where: { rest.starts(with: $0.content) }) {
                    return (token, position)
                }
            }
            return nil
        }
    }

    private func touchesWord(
        _ range: Range<Int>, in text: UnsafeBufferPointer<UInt8>
    ) -> Bool {
        if let before = WhiteSpace.lastScalar(before: range.lowerBound, in: text),
            isWord(before)
        {
            return true
        }
        guard range.upperBound < text.count else { return false }
        return isWord(DecodedScalar(text, at: range.upperBound).value)
    }

    /// `\w` of UTS #18.
    private func isWord(_ value: UInt32) -> Bool {
        guard let scalar = Unicode.Scalar(value) else { return false }
        let properties = scalar.properties
        if properties.isAlphabetic || properties.isJoinControl { return true }
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber,
            .connectorPunctuation:
            return true
        default: return false
        }
    }
}

/// White space next to a place in UTF-8 text.
enum WhiteSpace {
    /// The scalar that ends at `end`.
    static func lastScalar(before end: Int, in text: UnsafeBufferPointer<UInt8>) -> UInt32? {
        guard end > 0 else { return nil }
        var start = end - 1
        while start > 0, end - start < 4, text[start] & 0xC0 == 0x80 { start -= 1 }
        return DecodedScalar(text, at: start).value
    }

    /// Where the white space that ends at `end` begins.
    static func start(before end: Int, in text: UnsafeBufferPointer<UInt8>) -> Int {
        var start = end
        while let scalar = lastScalar(before: start, in: text), isSpace(scalar) {
            start -= Unicode.Scalar(scalar).map { UTF8.width($0) } ?? 1
        }
        return start
    }

    /// Where the white space that begins at `start` ends.
    static func end(after start: Int, in text: UnsafeBufferPointer<UInt8>) -> Int {
        var end = start
        while end < text.count {
            let scalar = DecodedScalar(text, at: end)
            guard isSpace(scalar.value) else { break }
            end += scalar.length
        }
        return end
    }

    private static func isSpace(_ value: UInt32) -> Bool {
        Unicode.Scalar(value)?.properties.isWhitespace ?? false
    }
}
