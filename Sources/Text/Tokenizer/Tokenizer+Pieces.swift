extension Tokenizer {
    /// The bytes that a token stands for inside a text; parts of a character are possible. `nil` if no token has the id.
    package func bytes(of id: TokenID) -> [UInt8]? {
        guard let id = decodable(id) else { return nil }
        switch decoder.parts.part(id, isFirst: false) {
        case .text(let bytes): return Array(bytes)
        case .byte(let byte): return [byte]
        }
    }

    /// The texts of control tokens, which a text from outside must not be able to forge.
    package var specialTexts: [String] {
        (0..<vocabularySize).compactMap { TokenID(exactly: $0) }.filter(isSpecial)
            .compactMap { token(for: $0) }
    }
}
