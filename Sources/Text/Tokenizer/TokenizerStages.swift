/// Reads the stages of `tokenizer.json` around the model: normalizer, pre-tokenizer, post-processor,
/// decoder. Each is an object with a `type`, or a `Sequence` of such.
struct TokenizerStages {
    let reader: TokenizerReader

    // MARK: Normalizer

    func normalizer(_ value: JSONValue?) throws(TokenizerError) -> Normalizer {
        var steps: [Normalizer.Step] = []
        for (type, stage) in try flatten(value, "normalizer", members: "normalizers") {
            switch type {
            case "NFC": steps.append(.composed)
            case "Prepend":
                let prefix = try reader.string("prepend", of: stage, "normalizer")
                steps.append(.prepend(Array(prefix.utf8)))
            case "Replace":
                let (pattern, content) = try replacement(stage, "normalizer")
                steps.append(.replace(pattern, with: content))
            default: throw reader.unsupported("normalizer", type)
            }
        }
        return Normalizer(steps: steps)
    }

    /// Bytes that a normalizer or decoder may put in place of one character: enough for any real one,
    /// and too few to turn a short file into gigabytes.
    private static let literalLimit = 256

    /// The literal pattern and the content of a `Replace`.
    private func replacement(
        _ stage: JSONValue, _ part: String
    ) throws(TokenizerError) -> (pattern: [UInt8], content: [UInt8]) {
        guard let pattern = stage["pattern"]?["String"]?.string, !pattern.isEmpty else {
            throw reader.unsupported(part, "Replace with a pattern that is not a literal")
        }
        let content = try reader.string("content", of: stage, part)
        if content.utf8.count > Self.literalLimit {
            throw reader.unsupported(part, "Replace by \(content.utf8.count) bytes")
        }
        return (Array(pattern.utf8), Array(content.utf8))
    }

    // MARK: Pre-tokenizer

    func preTokenizer(
        _ value: JSONValue?
    ) throws(TokenizerError) -> (PreTokenizer, isByteLevel: Bool) {
        let part = "pre_tokenizer"
        let stages = try flatten(value, part, members: "pretokenizers")
        switch stages.map(\.type) {
        case []:
            return (.whole(addsSpace: false), false)
        case ["ByteLevel"]:
            let stage = stages[0].value
            let addsSpace = try reader.bool("add_prefix_space", of: stage, part, absent: true)
            let splits = try reader.bool("use_regex", of: stage, part, absent: true)
            return (
                splits
                    ? .pattern(.gpt2, addsSpace: addsSpace) : .whole(addsSpace: addsSpace), true
            )
        case ["Split", "ByteLevel"]:
            let stage = stages[1].value
            // `use_regex` would split a second time, a prefix space go before every word.
            if try reader.bool("use_regex", of: stage, part, absent: true) {
                throw reader.unsupported(part, "Split followed by ByteLevel with use_regex")
            }
            if try reader.bool("add_prefix_space", of: stage, part, absent: true) {
                throw reader.unsupported(part, "Split followed by ByteLevel with add_prefix_space")
            }
            return (.pattern(try splitPattern(stages[0].value), addsSpace: false), true)
        case ["Metaspace"]:
            return (try metaspace(stages[0].value), false)
        case let types:
            throw reader.unsupported(part, types.joined(separator: ", "))
        }
    }

    private func splitPattern(_ stage: JSONValue) throws(TokenizerError) -> SplitPattern {
        let part = "pre_tokenizer"
        guard let expression = stage["pattern"]?["Regex"]?.string else {
            throw reader.unsupported(part, "Split with a pattern that is not a Regex")
        }
        guard let pattern = SplitPattern.named(expression) else {
            throw reader.unsupported(
                part, "Split with the pattern \(expression.quoted(limit: 400))")
        }
        let behavior = try reader.string("behavior", of: stage, part)
        let inverts = try reader.bool("invert", of: stage, part, absent: false)
        // The patterns leave nothing between matches: both of these give just the matches.
        guard behavior == "Isolated" && !inverts || behavior == "Removed" && inverts else {
            throw reader.unsupported(
                part, "Split with behavior \(behavior.quoted()), invert \(inverts)")
        }
        return pattern
    }

    private func metaspace(_ stage: JSONValue) throws(TokenizerError) -> PreTokenizer {
        let part = "pre_tokenizer"
        let (mark, prepends) = try metaspaceMark(stage, part)
        return .metaspace(
            mark: mark, prepends: prepends,
            splits: try reader.bool("split", of: stage, part, absent: true))
    }

    private func metaspaceMark(
        _ stage: JSONValue, _ part: String
    ) throws(TokenizerError) -> (mark: [UInt8], prepends: PreTokenizer.Prepending) {
        let mark = try reader.string("replacement", of: stage, part)
        guard mark.unicodeScalars.count == 1 else {
            throw reader.malformed(
                "\(part).replacement", expected: "one character", found: stage["replacement"])
        }
        let prepends: PreTokenizer.Prepending
        switch try reader.optionalString("prepend_scheme", of: stage, part) {
        case "always": prepends = .always
        case "first": prepends = .atStart
        case "never": prepends = .never
        case let scheme?: throw reader.unsupported("\(part).prepend_scheme", scheme.quoted())
        case nil:
            // Files of before 2023 have a flag instead.
            prepends =
                try reader.bool("add_prefix_space", of: stage, part, absent: true)
                ? .always : .never
        }
        return (Array(mark.utf8), prepends)
    }

    // MARK: Post-processor

    /// Nil if the file names no post-processor.
    func frame(
        _ value: JSONValue?, _ vocabulary: Vocabulary
    ) throws(TokenizerError) -> TokenFrame? {
        var frame: TokenFrame?
        for (type, stage) in try flatten(value, "post_processor", members: "processors") {
            switch type {
            // It only trims offsets.
            case "ByteLevel": continue
            case "TemplateProcessing":
                let inner = try template(stage, vocabulary)
                let outer = frame ?? TokenFrame()
                frame = TokenFrame(
                    prefix: inner.prefix + outer.prefix, suffix: outer.suffix + inner.suffix)
            default: throw reader.unsupported("post_processor", type)
            }
        }
        return frame
    }

    private func template(
        _ stage: JSONValue, _ vocabulary: Vocabulary
    ) throws(TokenizerError) -> TokenFrame {
        let path = "post_processor.single"
        var frame = TokenFrame()
        var isAfterText = false
        for piece in try reader.array("single", of: stage, "post_processor") {
            if let sequence = piece["Sequence"] {
                let id = try reader.string("id", of: sequence, path)
                guard id == "A", !isAfterText else {
                    throw reader.unsupported("post_processor", "a template that is not one text")
                }
                isAfterText = true
            } else if let special = piece["SpecialToken"] {
                let name = try reader.string("id", of: special, path)
                let ids = try specialIDs(name, stage, vocabulary)
                if isAfterText { frame.suffix += ids } else { frame.prefix += ids }
            } else {
                throw reader.malformed(path, expected: "Sequence or SpecialToken", found: piece)
            }
        }
        guard isAfterText else {
            throw .malformed(file: reader.file, cause: "\(path): the text itself is missing")
        }
        return frame
    }

    private func specialIDs(
        _ name: String, _ stage: JSONValue, _ vocabulary: Vocabulary
    ) throws(TokenizerError) -> [TokenID] {
        let path = "post_processor.special_tokens"
        guard let entry = stage["special_tokens"]?[name] else {
            throw .malformed(file: reader.file, cause: "\(path): \(name.quoted()) is missing")
        }
        var ids: [TokenID] = []
        for value in try reader.array("ids", of: entry, path) {
            guard let id = value.int, let token = TokenID(exactly: id),
                vocabulary.bytes(of: token) != nil
            else { throw reader.malformed(path, expected: "the id of a token", found: value) }
            ids.append(token)
        }
        return ids
    }

    // MARK: Decoder

    func decoder(
        _ value: JSONValue?, _ vocabulary: Vocabulary
    ) throws(TokenizerError) -> TokenDecoder {
        let part = "decoder"
        let stages = try flatten(value, part, members: "decoders")
        if stages.map(\.type) == ["ByteLevel"] { return TokenDecoder(byteLevel: vocabulary) }
        var plan = TokenDecoder.Plan()
        var isFused = false
        for (type, stage) in stages {
            switch type {
            case "Replace" where !plan.fallsBack && !isFused:
                plan.replacements.append(try replacement(stage, part))
            case "ByteFallback" where !isFused: plan.fallsBack = true
            case "Fuse": isFused = true
            case "Strip" where isFused && plan.spacesToDrop == 0:
                guard try reader.string("content", of: stage, part) == " ",
                    try reader.int("stop", of: stage, part) == 0
                else { throw reader.unsupported(part, "Strip of anything but leading spaces") }
                let count = try reader.int("start", of: stage, part)
                guard count >= 0 else {
                    throw reader.malformed(
                        "decoder.start", expected: "a count", found: stage["start"])
                }
                plan.spacesToDrop = count
            case "Metaspace" where stages.count == 1:
                let (mark, prepends) = try metaspaceMark(stage, part)
                plan.replacements.append((mark, [0x20]))
                if prepends != .never { plan.markDroppedFromFirst = mark }
            default:
                throw reader.unsupported(part, stages.map(\.type).joined(separator: ", "))
            }
        }
        if stages.isEmpty { throw reader.unsupported(part, "none") }
        return TokenDecoder(plan, vocabulary)
    }

    // MARK: Sequences

    private typealias Stage = (type: String, value: JSONValue)

    /// The stages of `value` in order, with nested sequences opened; none for null.
    private func flatten(
        _ value: JSONValue?, _ part: String, members: String
    ) throws(TokenizerError) -> [(type: String, value: JSONValue)] {
        guard let value, !value.isNull else { return [] }
        guard value.kind == .object else {
            throw reader.malformed(part, expected: "an object", found: value)
        }
        let type = try reader.string("type", of: value, part)
        guard type == "Sequence" else { return [(type, value)] }
        var stages: [(type: String, value: JSONValue)] = []
        for member in try reader.array(members, of: value, part) {
            stages += try flatten(member, part, members: members)
        }
        return stages
    }
}
