extension TokenDecoder {
    /// A decoder for text tokens, as the files describe it.
    struct Plan {
        var replacements: [(pattern: [UInt8], content: [UInt8])] = []
        var fallsBack = false
        var decodesEachByte = false
        var spacesToDrop = 0
        /// Metaspace: marks vanish from the first token instead of becoming spaces.
        var markDroppedFromFirst: [UInt8]?
    }

    /// Tokens spelled in the byte alphabet. One that is not stands for its own UTF-8.
    init(byteLevel vocabulary: Vocabulary) {
        var parts = TokenParts(capacity: vocabulary.size)
        var text: [UInt8] = []
        for id in 0..<TokenID(vocabulary.size) {
            text.removeAll(keepingCapacity: true)
            if let token = vocabulary.bytes(of: id) {
                token.withUnsafeBufferPointer { token in
                    if !ByteAlphabet.decode(token, into: &text) { text.append(contentsOf: token) }
                }
            }
            parts.append(text)
        }
        self.init(bytes: .level, leading: .kept, parts: parts)
    }

    init(_ plan: Plan, _ vocabulary: Vocabulary) {
        var parts = TokenParts(capacity: vocabulary.size)
        for id in 0..<TokenID(vocabulary.size) {
            var text = vocabulary.bytes(of: id).map(Array.init) ?? []
            if let mark = plan.markDroppedFromFirst {
                let first = text.withUnsafeBufferPointer {
                    Normalizer.replace(mark, with: [], in: $0)
                }
                if let first { parts.setFirst(first, of: id) }
            }
            for (pattern, content) in plan.replacements {
                text =
                    text.withUnsafeBufferPointer {
                        Normalizer.replace(pattern, with: content, in: $0)
                    } ?? text
            }
            parts.append(text)
        }
        if plan.fallsBack {
            for (byte, id) in ByteToken.ids(in: vocabulary).enumerated() {
                if let id { parts.setByte(UInt8(byte), of: id) }
            }
        }
        self.init(
            bytes: plan.decodesEachByte ? .fallbackEachByte : .fallbackWholeRun,
            leading: plan.spacesToDrop == 0 ? .kept : .dropsSpaces(plan.spacesToDrop), parts: parts)
    }
}
