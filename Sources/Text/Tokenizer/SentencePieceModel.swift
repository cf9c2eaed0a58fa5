/// Reads SentencePiece's `tokenizer.model` (a protobuf, parsed by hand): BPE models with byte
/// fallback, as of Llama 2.
///
/// SentencePiece merges the neighbours whose joined piece scores highest, leftmost first. That is
/// byte-pair merging with a merge for every way to cut a piece in two pieces, ranked by score.
struct SentencePieceModel {
    let file: String

    private enum Kind: UInt64 { case normal = 1, unknown, control, userDefined, unused, byte }

    private struct Piece {
        var text: [UInt8] = []
        var score: Float = 0
        var kind = Kind.normal
    }

    private struct Specification {
        var pieces: [Piece] = []
        var modelType: UInt64 = 1
        var bosID: Int64 = 1
        var eosID: Int64 = 2
        var padID: Int64 = -1
        var fallsBack = false
        var addsPrefix = true
        var removesSpaces = true
        var escapesSpaces = true
        var hasCharacterMap = false
    }

    func parts(_ bytes: [UInt8]) throws(TokenizerError) -> TokenizerParts {
        let model = try specification(bytes)
        try refuseForeign(model)
        var vocabulary = Vocabulary(capacity: model.pieces.count)
        for (id, piece) in model.pieces.enumerated() {
            try vocabulary.add(piece.text, id: id, file: file)
        }
        let unknown = model.pieces.firstIndex { $0.kind == .unknown }.map { TokenID($0) }
        let mark = WordMark.sentencePiece
        let merges = mergeTable(model.pieces, vocabulary)
        let canCut =
            vocabulary.id(of: mark.bytes) != nil
            && !model.pieces.contains { $0.kind == .normal && mark.isInside($0.text) }
        var plan = TokenDecoder.Plan()
        plan.replacements = [(mark.bytes, [0x20])]
        plan.fallsBack = model.fallsBack
        plan.decodesEachByte = true
        plan.spacesToDrop = model.addsPrefix ? 1 : 0
        return TokenizerParts(
            vocabulary: vocabulary, addedTokens: addedTokens(model.pieces),
            normalizer: Normalizer(
                steps: (model.addsPrefix ? [.prepend([0x20])] : [])
                    + [.replace([0x20], with: mark.bytes)]),
            preTokenizer: .whole(addsSpace: false),
            model: BytePairModel(
                symbols: .scalars(
                    ids: try normalPieces(model.pieces),
                    bytes: model.fallsBack ? ByteToken.ids(in: vocabulary) : nil),
                merges: merges, unknown: unknown, fusesUnknown: true, wholeWords: nil),
            decoder: TokenDecoder(plan, vocabulary),
            frame: TokenFrame(),
            roles: TokenRoles(
                endOfText: role(model.eosID, vocabulary),
                beginningOfText: role(model.bosID, vocabulary),
                padding: role(model.padID, vocabulary), unknown: unknown),
            harmlessMark: canCut ? mark : nil)
    }

    private func role(_ id: Int64, _ vocabulary: Vocabulary) -> TokenID? {
        guard let id = TokenID(exactly: id), vocabulary.bytes(of: id) != nil else { return nil }
        return id
    }

    private func refuseForeign(_ model: Specification) throws(TokenizerError) {
        func refuse(_ part: String, _ found: String) -> TokenizerError {
            .unsupported(file: file, part: part, found: found)
        }
        if model.modelType != 2 {
            let name = [1: "unigram", 3: "word", 4: "char"][model.modelType]
            throw refuse("SentencePiece model type", name ?? "\(model.modelType)")
        }
        if model.pieces.isEmpty { throw .malformed(file: file, cause: "no pieces") }
        if model.hasCharacterMap { throw refuse("SentencePiece normalizer", "a character map") }
        if model.removesSpaces {
            throw refuse("SentencePiece normalizer", "remove_extra_whitespaces")
        }
        if !model.escapesSpaces {
            throw refuse("SentencePiece normalizer", "spaces that are not escaped")
        }
        if let unused = model.pieces.first(where: { $0.kind == .unused }) {
            let text = String(decoding: unused.text, as: UTF8.self).quoted()
            throw refuse("SentencePiece piece type", "unused (\(text))")
        }
    }

    /// The pieces that text may become; not the control and byte pieces, which only look like text.
    private func normalPieces(_ pieces: [Piece]) throws(TokenizerError) -> Vocabulary {
        var vocabulary = Vocabulary(capacity: pieces.count)
        for (id, piece) in pieces.enumerated()
        where piece.kind == .normal || piece.kind == .userDefined {
            try vocabulary.add(piece.text, id: id, file: file)
        }
        return vocabulary
    }

    private func addedTokens(_ pieces: [Piece]) -> [AddedToken] {
        pieces.enumerated().compactMap { id, piece in
            switch piece.kind {
            case .control, .unknown:
                AddedToken(content: piece.text, id: TokenID(id), isSpecial: true)
            case .userDefined: AddedToken(content: piece.text, id: TokenID(id))
            case .normal, .unused, .byte: nil
            }
        }
    }

    private func mergeTable(_ pieces: [Piece], _ vocabulary: Vocabulary) -> MergeTable {
        let scores = Set(pieces.lazy.filter { $0.kind == .normal }.map(\.score)).sorted(by: >)
        let ranks = Dictionary(
            uniqueKeysWithValues: scores.enumerated().map { ($1, UInt32($0)) })
        let table = MergeTable(capacity: pieces.count * 3)
        for (id, piece) in pieces.enumerated() where piece.kind == .normal {
            guard let rank = ranks[piece.score] else { continue }
            for cut in piece.text.indices.dropFirst() where piece.text[cut] & 0xC0 != 0x80 {
                guard let left = vocabulary.id(of: piece.text[..<cut]),
                    let right = vocabulary.id(of: piece.text[cut...]),
                    pieces[Int(left)].kind == .normal, pieces[Int(right)].kind == .normal
                else { continue }
                table.insert(left, right, .init(rank: rank, merged: TokenID(id)))
            }
        }
        return table
    }

    // MARK: Protobuf

    private func specification(_ bytes: [UInt8]) throws(TokenizerError) -> Specification {
        do throws(ProtobufError) {
            return try parse(bytes[...])
        } catch {
            throw .malformed(
                file: file,
                cause: "broken SentencePiece model at byte \(error.offset): \(error.cause)")
        }
    }

    private func parse(_ bytes: ArraySlice<UInt8>) throws(ProtobufError) -> Specification {
        var model = Specification()
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            switch field.number {
            case 1: model.pieces.append(try piece(try field.message()))
            case 2: try readTrainer(try field.message(), into: &model)
            case 3: try readNormalizer(try field.message(), into: &model)
            default: continue
            }
        }
        return model
    }

    private func piece(_ bytes: ArraySlice<UInt8>) throws(ProtobufError) -> Piece {
        var piece = Piece()
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            switch field.number {
            case 1:
                piece.text = Array(try field.message())
                let error = piece.text.withUnsafeBufferPointer {
                    UTF8Validity.firstError(in: $0)
                }
                if error != nil { throw field.failure("a piece that is not UTF-8") }
            case 2:
                piece.score = try field.float()
                // NaN could not be ranked.
                if piece.score.isNaN { throw field.failure("a score that is not a number") }
            case 3:
                guard let kind = Kind(rawValue: try field.integer()) else {
                    throw field.failure("an unknown type of piece")
                }
                piece.kind = kind
            default: continue
            }
        }
        return piece
    }

    private func readTrainer(
        _ bytes: ArraySlice<UInt8>, into model: inout Specification
    ) throws(ProtobufError) {
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            switch field.number {
            case 3: model.modelType = try field.integer()
            case 35: model.fallsBack = try field.integer() != 0
            case 41: model.bosID = Int64(bitPattern: try field.integer())
            case 42: model.eosID = Int64(bitPattern: try field.integer())
            case 43: model.padID = Int64(bitPattern: try field.integer())
            default: continue
            }
        }
    }

    private func readNormalizer(
        _ bytes: ArraySlice<UInt8>, into model: inout Specification
    ) throws(ProtobufError) {
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            switch field.number {
            case 2: model.hasCharacterMap = !(try field.message()).isEmpty
            case 3: model.addsPrefix = try field.integer() != 0
            case 4: model.removesSpaces = try field.integer() != 0
            case 5: model.escapesSpaces = try field.integer() != 0
            default: continue
            }
        }
    }
}
