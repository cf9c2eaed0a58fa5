/// Reads `tokenizer.json` of Hugging Face `tokenizers`. Whatever it asks for and is not implemented
/// here is an error that names it: a tokenizer that is nearly right ruins every measurement silently.
struct TokenizerJSON {
    let reader: TokenizerReader
    private var file: String { reader.file }
    private var root: JSONValue { reader.root }

    func parts() throws(TokenizerError) -> TokenizerParts {
        let model = try object("model")
        // Before the vocabulary, which is the slow part: what is unsupported is said at once.
        try refuseForeignModel(model)
        let stages = TokenizerStages(reader: reader)
        let (preTokenizer, isByteLevel) = try stages.preTokenizer(root["pre_tokenizer"])
        let normalizer = try stages.normalizer(root["normalizer"])
        var vocabulary = try readVocabulary(model)
        let merges = try readMerges(model, vocabulary)
        let modelVocabulary = vocabulary
        let added = try readAddedTokens(into: &vocabulary)
        let pairs = try bytePairModel(
            model, vocabulary: modelVocabulary, merges: merges, isByteLevel: isByteLevel)
        let frame = try stages.frame(root["post_processor"], vocabulary)
        let decoder = try stages.decoder(root["decoder"], vocabulary)
        return TokenizerParts(
            vocabulary: vocabulary, addedTokens: added, normalizer: normalizer,
            preTokenizer: preTokenizer, model: pairs, decoder: decoder,
            frame: frame ?? TokenFrame(), roles: TokenRoles(unknown: pairs.unknown),
            harmlessMark: merges.crossesWords || pairs.wholeWords != nil || isByteLevel
                || modelVocabulary.id(of: WordMark.sentencePiece.bytes) == nil
                ? nil : WordMark.sentencePiece)
    }

    /// Whether the file itself says which tokens go around a text.
    var hasPostProcessor: Bool { root["post_processor"].map { !$0.isNull } ?? false }

    private func object(_ key: String) throws(TokenizerError) -> JSONValue {
        let value = root[key]
        guard let value, value.kind == .object else {
            throw reader.malformed(key, expected: "an object", found: value)
        }
        return value
    }

    // MARK: Model

    private func refuseForeignModel(_ model: JSONValue) throws(TokenizerError) {
        // Files of before 2020 do not name the type; a merge list tells BPE from the others.
        let type = try reader.optionalString("type", of: model, "model")
        if let type, type != "BPE" { throw reader.unsupported("model type", type) }
        if type == nil, model["merges"] == nil {
            throw reader.malformed("model.type", expected: "a string", found: nil)
        }
        for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
            let affix = try reader.optionalString(key, of: model, "model") ?? ""
            if !affix.isEmpty { throw reader.unsupported("model.\(key)", affix.quoted()) }
        }
        if let dropout = model["dropout"], !dropout.isNull {
            guard let text = dropout.numberText else {
                throw reader.malformed("model.dropout", expected: "a number", found: dropout)
            }
            if Double(text) != 0 { throw reader.unsupported("model.dropout", text) }
        }
    }

    private func readVocabulary(_ model: JSONValue) throws(TokenizerError) -> Vocabulary {
        guard let vocab = model["vocab"], vocab.kind == .object else {
            throw reader.malformed("model.vocab", expected: "an object", found: model["vocab"])
        }
        let document = vocab.document
        var vocabulary = Vocabulary(capacity: vocab.keys.reduce(0) { count, _ in count + 1 })
        var token: [UInt8] = []
        for key in vocab.keys {
            document.readString(at: key, into: &token)
            let value = JSONValue(document: document, index: key + 1)
            guard let id = value.int else {
                let name = String(decoding: token, as: UTF8.self).quoted()
                if let number = value.numberText {
                    throw .idOutOfRange(
                        file: file, token: name, id: number, limit: Vocabulary.idLimit)
                }
                throw reader.malformed("model.vocab \(name)", expected: "an id", found: value)
            }
            try vocabulary.add(token, id: id, file: file)
        }
        if vocabulary.tokenCount == 0 {
            throw .malformed(file: file, cause: "model.vocab is empty")
        }
        return vocabulary
    }

    private struct Merges {
        let table: MergeTable
        /// Whether a merged token holds a word mark after something else.
        var crossesWords = false
    }

    private func readMerges(
        _ model: JSONValue, _ vocabulary: Vocabulary
    ) throws(TokenizerError) -> Merges {
        guard let list = model["merges"], list.kind == .array else {
            throw reader.malformed("model.merges", expected: "an array", found: model["merges"])
        }
        let document = list.document
        var merges = Merges(table: MergeTable(capacity: vocabulary.tokenCount))
        var (left, right): ([UInt8], [UInt8]) = ([], [])
        var index = 0
        for element in list.elements {
            let node = JSONValue(document: document, index: element)
            if node.kind == .string {
                document.readString(at: element, into: &left)
                // "a b"; the mark of the older file format may stand at the top.
                if index == 0, left.starts(with: Array("#version".utf8)) { continue }
                guard let space = left.firstIndex(of: 0x20),
                    left[(space + 1)...].firstIndex(of: 0x20) == nil
                else {
                    throw broken(index, "two tokens and one space expected, found \(text(left))")
                }
                right = Array(left[(space + 1)...])
                left.removeSubrange(space...)
            } else {
                let sides = Array(node.elements)
                guard sides.count == 2, document.nodes[sides[0]].kind == .string,
                    document.nodes[sides[1]].kind == .string
                else { throw broken(index, "two tokens expected, found \(node.typeName)") }
                document.readString(at: sides[0], into: &left)
                document.readString(at: sides[1], into: &right)
            }
            try add(left, right, rank: index, to: &merges, vocabulary)
            index += 1
        }
        return merges
    }

    private func add(
        _ left: [UInt8], _ right: [UInt8], rank: Int, to merges: inout Merges,
        _ vocabulary: Vocabulary
    ) throws(TokenizerError) {
        guard let leftID = vocabulary.id(of: left) else {
            throw broken(rank, "\(text(left)) is not in the vocabulary")
        }
        guard let rightID = vocabulary.id(of: right) else {
            throw broken(rank, "\(text(right)) is not in the vocabulary")
        }
        let joined = left + right
        guard let merged = vocabulary.id(of: joined) else {
            throw broken(rank, "its result \(text(joined)) is not in the vocabulary")
        }
        merges.table.insert(leftID, rightID, .init(rank: UInt32(rank), merged: merged))
        if !merges.crossesWords, WordMark.sentencePiece.isInside(joined) {
            merges.crossesWords = true
        }
    }

    private func broken(_ index: Int, _ cause: String) -> TokenizerError {
        .brokenMerge(file: file, index: index, cause: cause)
    }

    private func text(_ bytes: [UInt8]) -> String {
        String(decoding: bytes, as: UTF8.self).quoted()
    }

    private func bytePairModel(
        _ model: JSONValue, vocabulary: Vocabulary, merges: Merges, isByteLevel: Bool
    ) throws(TokenizerError) -> BytePairModel {
        var unknown: TokenID?
        if let token = try reader.optionalString("unk_token", of: model, "model") {
            unknown = vocabulary.id(of: token.utf8)
            if unknown == nil {
                throw .malformed(
                    file: file, cause: "unk_token \(token.quoted()) is not in the vocabulary")
            }
        }
        let fallsBack = try reader.bool("byte_fallback", of: model, "model", absent: false)
        let ignoresMerges = try reader.bool("ignore_merges", of: model, "model", absent: false)
        let symbols: BytePairModel.Symbols
        if isByteLevel {
            if fallsBack { throw reader.unsupported("model.byte_fallback", "with ByteLevel") }
            symbols = .bytes(
                ids: (0...255).map { vocabulary.id(of: ByteAlphabet.spelling(of: $0)) })
        } else {
            symbols = .scalars(
                ids: vocabulary, bytes: fallsBack ? ByteToken.ids(in: vocabulary) : nil)
        }
        return BytePairModel(
            symbols: symbols, merges: merges.table, unknown: unknown,
            fusesUnknown: try reader.bool("fuse_unk", of: model, "model", absent: false),
            wholeWords: !ignoresMerges
                ? nil : isByteLevel ? try wholeWords(vocabulary) : vocabulary)
    }

    /// The vocabulary by the bytes that its tokens stand for.
    private func wholeWords(_ vocabulary: Vocabulary) throws(TokenizerError) -> Vocabulary {
        var words = Vocabulary(capacity: vocabulary.tokenCount)
        var bytes: [UInt8] = []
        for id in 0..<TokenID(vocabulary.size) {
            guard let token = vocabulary.bytes(of: id) else { continue }
            bytes.removeAll(keepingCapacity: true)
            if token.withUnsafeBufferPointer({ ByteAlphabet.decode($0, into: &bytes) }) {
                try words.add(bytes, id: Int(id), file: file)
            }
        }
        return words
    }

    // MARK: Added tokens

    private func readAddedTokens(
        into vocabulary: inout Vocabulary
    ) throws(TokenizerError) -> [AddedToken] {
        guard let list = root["added_tokens"], !list.isNull else { return [] }
        guard list.kind == .array else {
            throw reader.malformed("added_tokens", expected: "an array", found: list)
        }
        var tokens: [AddedToken] = []
        for (index, node) in list.elements.enumerated() {
            let value = JSONValue(document: list.document, index: node)
            let path = "added_tokens[\(index)]"
            let content = Array(try reader.string("content", of: value, path).utf8)
            if content.isEmpty { continue }
            let id = try reader.int("id", of: value, path)
            try vocabulary.add(content, id: id, file: file)
            let isSpecial = try reader.bool("special", of: value, path, absent: false)
            tokens.append(
                AddedToken(
                    content: content, id: TokenID(id), isSpecial: isSpecial,
                    stripsLeft: try reader.bool("lstrip", of: value, path, absent: false),
                    stripsRight: try reader.bool("rstrip", of: value, path, absent: false),
                    isSingleWord: try reader.bool("single_word", of: value, path, absent: false),
                    isNormalized: try reader.bool(
                        "normalized", of: value, path, absent: !isSpecial)))
        }
        return tokens
    }
}

/// Tokens that stand for one byte, spelled "<0x0A>".
enum ByteToken {
    static func spelling(of byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return Array("<0x".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            + Array(">".utf8)
    }

    /// The id of each byte's token.
    static func ids(in vocabulary: Vocabulary) -> [TokenID?] {
        (0...255).map { vocabulary.id(of: spelling(of: $0)) }
    }
}
