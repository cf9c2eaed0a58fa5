/// Turns tokens into text piece by piece: what `append` and `finish` return, joined, is what `decode`
/// returns for all the tokens at once. No piece ends inside a UTF-8 character.
package struct StreamingDecoder {
    private let tokenizer: Tokenizer
    private let skipsSpecialTokens: Bool
    /// Bytes that are not text yet: the start of a character, or a run of byte tokens.
    private var held: [UInt8] = []
    private var spacesToDrop: Int
    private var isFirstToken = true

    package init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool = false) {
        self.tokenizer = tokenizer
        skipsSpecialTokens = skipSpecialTokens
        switch tokenizer.decoder.leading {
        case .kept: spacesToDrop = 0
        case .dropsSpaces(let count): spacesToDrop = count
        }
    }

    /// - Returns: the text that this token completes; often "" when it holds part of a character.
    package mutating func append(_ id: TokenID) throws(TokenizerError) -> String {
        var output: [UInt8] = []
        try append(id, to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    /// Ends the text.
    /// - Returns: what was held back, with U+FFFD for characters that were never completed.
    package mutating func finish() -> String {
        var output: [UInt8] = []
        finish(into: &output)
        return String(decoding: output, as: UTF8.self)
    }

    mutating func append(_ id: TokenID, to output: inout [UInt8]) throws(TokenizerError) {
        guard let id = tokenizer.decodable(id) else {
            throw .unknownID(id: Int(id), vocabularySize: tokenizer.vocabularySize)
        }
        if skipsSpecialTokens, tokenizer.isSpecial(id) { return }
        let part = tokenizer.decoder.parts.part(id, isFirst: isFirstToken)
        isFirstToken = false
        switch (tokenizer.decoder.bytes, part) {
        case (.level, .text(let bytes)):
            held.append(contentsOf: bytes)
            emitWholeScalars(replacing: .maximalParts, to: &output)
        case (.level, .byte(let byte)):
            held.append(byte)
            emitWholeScalars(replacing: .maximalParts, to: &output)
        case (.fallbackWholeRun, .byte(let byte)):
            held.append(byte)
        case (.fallbackEachByte, .byte(let byte)):
            held.append(byte)
            emitWholeScalars(replacing: .eachByte, to: &output)
        case (.fallbackWholeRun, .text(let text)), (.fallbackEachByte, .text(let text)):
            endByteRun(into: &output)
            emit(text, to: &output)
        }
    }

    mutating func finish(into output: inout [UInt8]) {
        endByteRun(into: &output)
        self = StreamingDecoder(tokenizer, skipSpecialTokens: skipsSpecialTokens)
    }

    // MARK: Bytes to characters

    private enum Replacement { case maximalParts, eachByte }

    private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

    /// Ends a stretch of bytes: nothing more can complete what is held.
    private mutating func endByteRun(into output: inout [UInt8]) {
        if held.isEmpty { return }
        let bytes = held
        held.removeAll(keepingCapacity: true)
        switch tokenizer.decoder.bytes {
        case .level: emit(Self.replacement[...], to: &output)
        case .fallbackEachByte:
            for _ in bytes { emit(Self.replacement[...], to: &output) }
        case .fallbackWholeRun:
            if bytes.withUnsafeBufferPointer({ UTF8Validity.firstError(in: $0) }) == nil {
                emit(bytes[...], to: &output)
            } else {
                for _ in bytes { emit(Self.replacement[...], to: &output) }
            }
        }
    }

    /// Moves everything from `held` to the output but a character that more bytes may complete.
    private mutating func emitWholeScalars(
        replacing: Replacement, to output: inout [UInt8]
    ) {
        var text: [UInt8] = []
        var position = 0
        held.withUnsafeBufferPointer { held in
            scan: while position < held.count {
                switch UTF8Validity.step(in: held, at: position) {
                case .scalar(let length):
                    text.append(contentsOf: held[position..<position + length])
                    position += length
                case .broken(let length):
                    text.append(contentsOf: Self.replacement)
                    position += replacing == .maximalParts ? length : 1
                case .incomplete: break scan
                }
            }
        }
        held.removeSubrange(..<position)
        emit(text[...], to: &output)
    }

    private mutating func emit(_ text: ArraySlice<UInt8>, to output: inout [UInt8]) {
        var text = text
        while spacesToDrop > 0, let first = text.first {
            guard first == 0x20 else {
                spacesToDrop = 0
                break
            }
            text = text.dropFirst()
            spacesToDrop -= 1
        }
        output.append(contentsOf: text)
    }
}
