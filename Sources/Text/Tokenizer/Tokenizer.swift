import Synchronization

/// Text to token ids and back: byte-level and SentencePiece-style byte-pair encoding, with the ids
/// that Hugging Face `tokenizers` gives.
package final class Tokenizer: Sendable {
    let vocabulary: Vocabulary
    let decoder: TokenDecoder
    private let parts: TokenizerParts
    private let rawTokens: AddedTokens
    private let normalizedTokens: AddedTokens
    private let specialIDs: Set<TokenID>
    /// What ids are decoded as, by id; empty where each is decoded as itself. See `standingIn`.
    private let standIns: [TokenID]
    /// The mark before which words may be cut without changing the result.
    private let wordMark: WordMark?
    /// Working memory of calls that ended, for the next ones.
    private let scratches = Mutex<[EncodingScratch]>([])

    /// Ids of the tokens with a role, as the folder's files name them.
    package let roles: TokenRoles

    convenience init(_ parts: TokenizerParts) { self.init(parts, standIns: []) }

    private init(_ parts: TokenizerParts, standIns: [TokenID]) {
        self.parts = parts
        self.standIns = standIns
        vocabulary = parts.vocabulary
        decoder = parts.decoder
        roles = parts.roles
        specialIDs = Set(parts.addedTokens.lazy.filter(\.isSpecial).map(\.id))
        rawTokens = AddedTokens(parts.addedTokens.filter { !$0.isNormalized })
        normalizedTokens = AddedTokens(
            parts.addedTokens.filter(\.isNormalized).map { token in
                var token = token
                let normal = token.content.withUnsafeBufferPointer {
                    parts.normalizer.normalize($0)
                }
                if let normal { token.content = normal }
                return token
            })
        wordMark = parts.harmlessMark
    }

    // MARK: Vocabulary

    /// One more than the largest id.
    package var vocabularySize: Int { vocabulary.size }
    package var eosToken: TokenID? { roles.endOfText }
    package var bosToken: TokenID? { roles.beginningOfText }

    /// The token as the vocabulary spells it ("Ġthe", "▁the"), nil if no token has the id.
    package func token(for id: TokenID) -> String? { vocabulary.text(of: id) }
    package func id(of token: String) -> TokenID? { vocabulary.id(of: token.utf8) }
    /// Whether the token is control, not text: left out by `skipSpecialTokens`.
    package func isSpecial(_ id: TokenID) -> Bool { specialIDs.contains(id) }

    /// A tokenizer for models that make no sense, such as random weights that are measured, of any vocabulary: every id is
    /// decoded as a whole text at once, as nearly all tokens of a model that does make sense are. An id stands for the
    /// token at its remainder by `vocabularySize`, or the next one behind that which is neither a part of a character nor
    /// a control token. Encoding is not concerned.
    package func standingIn() -> Tokenizer {
        let isWhole = (0..<TokenID(vocabularySize)).map { id in
            guard !isSpecial(id), let bytes = bytes(of: id), !bytes.isEmpty else { return false }
            return bytes.withUnsafeBufferPointer { UTF8Validity.firstError(in: $0) } == nil
        }
        guard let first = isWhole.firstIndex(of: true) else { return self }
        var (next, standIns) = (TokenID(first), [TokenID]())
        for id in isWhole.indices.reversed() {
            if isWhole[id] { next = TokenID(id) }
            standIns.append(next)
        }
        return Tokenizer(parts, standIns: standIns.reversed())
    }

    /// The token that `id` is decoded as, `nil` if there is none.
    func decodable(_ id: TokenID) -> TokenID? {
        guard standIns.isEmpty else { return id < 0 ? nil : standIns[Int(id) % standIns.count] }
        return vocabulary.bytes(of: id) == nil ? nil : id
    }

    // MARK: Encoding

    /// - Parameters:
    ///   - addSpecialTokens: put the tokens around the text that the tokenizer's files ask for, such
    ///     as the beginning-of-text token.
    ///   - parseSpecial: whether the text of a special token stands for that token. Give false for
    ///     text from outside that must not be able to forge them.
    package func encode(
        _ text: String, addSpecialTokens: Bool = false, parseSpecial: Bool = true
    ) -> [TokenID] {
        var text = text
        return text.withUTF8 {
            encode(utf8: $0, addSpecialTokens: addSpecialTokens, parseSpecial: parseSpecial)
        }
    }

    /// Encodes well-formed UTF-8. (Bytes that are not well formed do no harm: each counts as a symbol.)
    package func encode(
        utf8 text: UnsafeBufferPointer<UInt8>, addSpecialTokens: Bool = false,
        parseSpecial: Bool = true
    ) -> [TokenID] {
        let scratch = scratches.withLock { $0.popLast() } ?? EncodingScratch()
        defer { scratches.withLock { $0.append(scratch) } }
        var output: [TokenID] = []
        output.reserveCapacity(text.count / 3 + 8)
        if addSpecialTokens { output.append(contentsOf: parts.frame.prefix) }
        for piece in rawTokens.split(text, parsesSpecial: parseSpecial) {
            switch piece {
            case .token(let id): output.append(id)
            case .text(let range):
                encodeRaw(
                    UnsafeBufferPointer(rebasing: text[range]), isAtStart: range.lowerBound == 0,
                    parsesSpecial: parseSpecial, scratch: scratch, into: &output)
            }
        }
        if addSpecialTokens { output.append(contentsOf: parts.frame.suffix) }
        return output
    }

    package func encode(
        utf8 text: [UInt8], addSpecialTokens: Bool = false, parseSpecial: Bool = true
    ) -> [TokenID] {
        text.withUnsafeBufferPointer {
            encode(utf8: $0, addSpecialTokens: addSpecialTokens, parseSpecial: parseSpecial)
        }
    }

    /// A stretch without raw added tokens: normalise, find the normalised added tokens, split, merge.
    private func encodeRaw(
        _ text: UnsafeBufferPointer<UInt8>, isAtStart: Bool, parsesSpecial: Bool,
        scratch: EncodingScratch, into output: inout [TokenID]
    ) {
        let normal = parts.normalizer.normalize(text)
        func encodePieces(_ text: UnsafeBufferPointer<UInt8>, _ output: inout [TokenID]) {
            for piece in normalizedTokens.split(text, parsesSpecial: parsesSpecial) {
                switch piece {
                case .token(let id): output.append(id)
                case .text(let range):
                    encodeWords(
                        UnsafeBufferPointer(rebasing: text[range]),
                        isAtStart: isAtStart && range.lowerBound == 0, scratch: scratch,
                        into: &output)
                }
            }
        }
        if let normal {
            normal.withUnsafeBufferPointer { encodePieces($0, &output) }
        } else {
            encodePieces(text, &output)
        }
    }

    private func encodeWords(
        _ text: UnsafeBufferPointer<UInt8>, isAtStart: Bool, scratch: EncodingScratch,
        into output: inout [TokenID]
    ) {
        switch parts.preTokenizer {
        case .pattern(let pattern, let addsSpace):
            withPrefix([0x20], if: addsSpace, before: text) { text in
                let scanner = WordScanner(text, ascii: ASCIIClasses.shared.table)
                var start = 0
                while start < text.count {
                    let end = scanner.end(ofWordAt: start, pattern: pattern)
                    parts.model.encode(
                        UnsafeBufferPointer(rebasing: text[start..<end]), scratch: scratch,
                        into: &output)
                    start = end
                }
            }
        case .whole(let addsSpace):
            withPrefix([0x20], if: addsSpace, before: text) { text in
                encodeWhole(text, scratch: scratch, into: &output)
            }
        case .metaspace(let mark, let prepends, let splits):
            let marked = Normalizer.replace([0x20], with: mark, in: text) ?? Array(text)
            let adds = prepends == .always || prepends == .atStart && isAtStart
            marked.withUnsafeBufferPointer { marked in
                withPrefix(mark, if: adds, before: marked) { text in
                    if splits {
                        encodeMarked(
                            text, mark: WordMark(bytes: mark), everyMark: true, scratch: scratch,
                            into: &output)
                    } else {
                        encodeWhole(text, scratch: scratch, into: &output)
                    }
                }
            }
        }
    }

    private func encodeWhole(
        _ text: UnsafeBufferPointer<UInt8>, scratch: EncodingScratch, into output: inout [TokenID]
    ) {
        if let wordMark {
            encodeMarked(
                text, mark: wordMark, everyMark: false, scratch: scratch, into: &output)
        } else if !text.isEmpty {
            parts.model.encode(text, scratch: scratch, into: &output)
        }
    }

    private func encodeMarked(
        _ text: UnsafeBufferPointer<UInt8>, mark: WordMark, everyMark: Bool,
        scratch: EncodingScratch, into output: inout [TokenID]
    ) {
        var start = 0
        while start < text.count {
            let end = mark.end(ofWordAt: start, in: text, everyMark: everyMark)
            parts.model.encode(
                UnsafeBufferPointer(rebasing: text[start..<end]), scratch: scratch, into: &output)
            start = end
        }
    }

    /// Calls `body` with `text`, preceded by `prefix` if asked for and not there already.
    private func withPrefix(
        _ prefix: [UInt8], if wanted: Bool, before text: UnsafeBufferPointer<UInt8>,
        _ body: (UnsafeBufferPointer<UInt8>) -> Void
    ) {
        guard wanted, !text.starts(with: prefix) else { return body(text) }
        (prefix + text).withUnsafeBufferPointer(body)
    }

    // MARK: Decoding

    /// - Throws: `unknownID` for an id that no token has.
    package func decode(
        _ ids: some Sequence<TokenID>, skipSpecialTokens: Bool = false
    ) throws(TokenizerError) -> String {
        var stream = StreamingDecoder(self, skipSpecialTokens: skipSpecialTokens)
        var output: [UInt8] = []
        for id in ids { try stream.append(id, to: &output) }
        stream.finish(into: &output)
        return String(decoding: output, as: UTF8.self)
    }
}
