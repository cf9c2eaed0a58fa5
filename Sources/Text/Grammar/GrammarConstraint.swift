/// The tokens that keep a text within a grammar.
///
/// Unchecked sendable: made where a request is read, used where its tokens are drawn, by one task at a
/// time.
package final class GrammarConstraint: TokenConstraint, @unchecked Sendable {
    private let trie: TokenTrie
    private let endTokens: [TokenID]
    private let automaton: GrammarAutomaton
    private var position: GrammarAutomaton.Position
    private var hasEnded = false
    /// Masks by position: texts come by the same positions again and again, within strings above all.
    private var masks: [GrammarAutomaton.Position: TokenMask] = [:]

    private static let mostMasks = 256

    /// - Parameter endTokens: those that end a text, allowed where it is complete.
    package init(
        _ grammar: Grammar, _ trie: TokenTrie, endTokens: [TokenID]
    ) throws(ConstraintError) {
        self.trie = trie
        self.endTokens = endTokens.filter { $0 >= 0 && Int($0) < trie.vocabularySize }
        automaton = try GrammarAutomaton(grammar)
        position = automaton.start
    }

    package var isComplete: Bool { hasEnded || automaton.isComplete(position) }

    package func allowedTokens() throws(ConstraintError) -> TokenMask {
        if let mask = masks[position], !hasEnded { return mask }
        var mask =
            hasEnded
            ? TokenMask(count: trie.vocabularySize)
            : try automaton.tokens(of: trie, from: position)
        if isComplete { for token in endTokens { mask[token] = true } }
        guard !mask.isEmpty else { throw .noToken }
        if masks.count >= Self.mostMasks { masks.removeAll() }
        if !hasEnded { masks[position] = mask }
        return mask
    }

    package func advance(_ token: TokenID) throws(ConstraintError) {
        if endTokens.contains(token) {
            guard isComplete else { throw .notAllowed(token: token) }
            hasEnded = true
            return
        }
        let text = trie.text(of: token)
        guard !text.isEmpty, !hasEnded else { throw .notAllowed(token: token) }
        var next = position
        for byte in text { next = try automaton.step(next, byte) }
        guard next != GrammarAutomaton.dead else { throw .notAllowed(token: token) }
        position = next
        if let renamed = automaton.compact(keeping: position) {
            position = renamed
            masks.removeAll()
        }
    }
}

extension Grammar {
    /// Any JSON object: `response_format: {"type": "json_object"}`.
    package static let jsonObject = SchemaCompiler.anyObject()

    /// The values of a JSON schema.
    package init(schema bytes: [UInt8]) throws(SchemaError) {
        guard bytes.count <= SchemaLimits.bytes else {
            throw SchemaError(
                fault: .limit("a schema of more than \(SchemaLimits.bytes) bytes"), pointer: "")
        }
        let document: JSONDocument
        do { document = try JSONDocument(bytes) } catch {
            throw SchemaError(
                fault: .malformed("byte \(error.offset): \(error.cause)"), pointer: "")
        }
        self = try SchemaCompiler.compile(document.root)
    }

    /// Whether the bytes are a text of the grammar.
    package func accepts(_ text: some Sequence<UInt8>) throws(ConstraintError) -> Bool {
        let automaton = try GrammarAutomaton(self)
        var position = automaton.start
        for byte in text { position = try automaton.step(position, byte) }
        return automaton.isComplete(position)
    }
}
