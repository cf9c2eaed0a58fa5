extension Tokenizer {
    /// Loads the tokenizer of a Hugging Face folder: `tokenizer.json`, else SentencePiece's
    /// `tokenizer.model`; roles from the configuration files beside it.
    /// - Parameter path: the folder, or one of these two files.
    package convenience init(path: String) throws(TokenizerError) {
        let folder: String
        let file: String
        if FileContents.isDirectory(path) {
            folder = path
            let candidates = ["tokenizer.json", "tokenizer.model"].map { "\(path)/\($0)" }
            guard let found = candidates.first(where: { FileContents.exists($0) }) else {
                throw .notFound(path: path)
            }
            file = found
        } else {
            guard FileContents.exists(path) else { throw .notFound(path: path) }
            file = path
            folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        }
        let bytes = try TokenizerReader.contents(of: file)
        // A SentencePiece model starts with its first field, 0x0A; JSON may start so too (a line
        // feed), but then an object must follow.
        let isJSON = bytes.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) } == UInt8(ascii: "{")
        let settings = try TokenizerSettings(folder: folder)
        if file.hasSuffix(".model"), !isJSON {
            var parts = try SentencePieceModel(file: file).parts(bytes)
            try settings.apply(to: &parts, framesByRole: true)
            // Llama 2's own default: a text begins with the beginning-of-text token.
            if settings.addsBeginning == nil, let begin = parts.roles.beginningOfText {
                parts.frame.prefix = [begin]
            }
            self.init(parts)
        } else {
            let json = TokenizerJSON(reader: try TokenizerReader(file: file, bytes: bytes))
            var parts = try json.parts()
            try settings.apply(to: &parts, framesByRole: !json.hasPostProcessor)
            self.init(parts)
        }
    }

    /// Loads `tokenizer.json` from memory; `file` is for messages only.
    package convenience init(json bytes: [UInt8], file: String) throws(TokenizerError) {
        self.init(try TokenizerJSON(reader: TokenizerReader(file: file, bytes: bytes)).parts())
    }

    /// Loads a SentencePiece model from memory; `file` is for messages only.
    package convenience init(
        sentencePiece bytes: [UInt8], file: String
    ) throws(TokenizerError) {
        self.init(try SentencePieceModel(file: file).parts(bytes))
    }
}

/// The roles of tokens, from `tokenizer_config.json`; what that leaves open from
/// `special_tokens_map.json`, then `config.json` (by id).
struct TokenizerSettings {
    private enum Name {
        case token(String, file: String)
        case id(Int, file: String)
    }

    private var names: [String: Name] = [:]
    /// `add_bos_token`, `add_eos_token`; nil where the configuration is silent.
    private(set) var addsBeginning: Bool?
    private(set) var addsEnd: Bool?

    private static let roleKeys = ["eos_token", "bos_token", "pad_token", "unk_token"]

    init(folder: String) throws(TokenizerError) {
        let configuration = "\(folder)/tokenizer_config.json"
        if FileContents.exists(configuration) {
            let reader = try TokenizerReader(file: configuration)
            try readNames(reader)
            addsBeginning = try flag("add_bos_token", reader)
            addsEnd = try flag("add_eos_token", reader)
        }
        let map = "\(folder)/special_tokens_map.json"
        if FileContents.exists(map) { try readNames(try TokenizerReader(file: map)) }
        let model = "\(folder)/config.json"
        if FileContents.exists(model) { try readIDs(try TokenizerReader(file: model)) }
    }

    private func flag(_ key: String, _ reader: TokenizerReader) throws(TokenizerError) -> Bool? {
        guard let value = reader.root[key], !value.isNull else { return nil }
        guard let flag = value.bool else {
            throw reader.malformed(key, expected: "true or false", found: value)
        }
        return flag
    }

    /// A name is a string or, in older files, an object with `content`. Null says: there is none.
    private mutating func readNames(_ reader: TokenizerReader) throws(TokenizerError) {
        for key in Self.roleKeys where names[key] == nil {
            guard let value = reader.root[key], !value.isNull else { continue }
            guard let name = value.string ?? value["content"]?.string else {
                throw reader.malformed(key, expected: "a token", found: value)
            }
            names[key] = .token(name, file: reader.file)
        }
    }

    /// Ids are a number or, where several tokens end a text, an array: the first one counts.
    private mutating func readIDs(_ reader: TokenizerReader) throws(TokenizerError) {
        for key in Self.roleKeys where names[key] == nil {
            guard let value = reader.root["\(key)_id"], !value.isNull else { continue }
            let first = value.elements.first { _ in true }
            let number = first.map { JSONValue(document: value.document, index: $0) } ?? value
            guard let id = number.int else {
                throw reader.malformed("\(key)_id", expected: "an id", found: number)
            }
            names[key] = .id(id, file: reader.file)
        }
    }

    private func id(_ key: String, _ vocabulary: Vocabulary) throws(TokenizerError) -> TokenID? {
        switch names[key] {
        case nil: return nil
        case .token(let name, let file):
            guard let id = vocabulary.id(of: name.utf8) else {
                // Configurations name padding tokens that only a training script would add.
                if key == "pad_token" { return nil }
                throw .malformed(
                    file: file, cause: "\(key) \(name.quoted()) is not in the vocabulary")
            }
            return id
        case .id(let id, let file):
            // Models without such a token write -1, or an id that their vocabulary lacks.
            guard let token = TokenID(exactly: id) else {
                throw .malformed(file: file, cause: "\(key)_id \(id) is no id")
            }
            return vocabulary.bytes(of: token) == nil ? nil : token
        }
    }

    /// - Parameter framesByRole: whether `add_bos_token` and `add_eos_token` count; a post-processor
    ///   in tokenizer.json goes before them.
    func apply(to parts: inout TokenizerParts, framesByRole: Bool) throws(TokenizerError) {
        let vocabulary = parts.vocabulary
        parts.roles.endOfText = try id("eos_token", vocabulary) ?? parts.roles.endOfText
        parts.roles.beginningOfText =
            try id("bos_token", vocabulary) ?? parts.roles.beginningOfText
        parts.roles.padding = try id("pad_token", vocabulary) ?? parts.roles.padding
        parts.roles.unknown = try id("unk_token", vocabulary) ?? parts.roles.unknown
        guard framesByRole else { return }
        if addsBeginning == true, let begin = parts.roles.beginningOfText {
            parts.frame.prefix = [begin]
        }
        if addsEnd == true, let end = parts.roles.endOfText { parts.frame.suffix = [end] }
    }
}
