/// The tokens that keep a text within a grammar. A value: a copy goes its own way.
package struct GrammarConstraint: TokenConstraint {
    private var walk: GrammarWalk

    /// - Throws: `outsideVocabulary`, when tokens of the vocabulary can spell no text of the grammar.
    package init(_ grammar: Grammar, _ trie: TokenTrie) throws(ConstraintError) {
        walk = try GrammarWalk(grammar.restricted(to: trie.singleBytes), trie)
    }

    package var isComplete: Bool { walk.fault != nil || walk.isAtEnd }
    /// Whether the text may end here, if it need not.
    package var mayEnd: Bool { walk.mayEnd }
    /// Why the constraint gave up; the text ends there.
    package var fault: ConstraintError? { walk.fault }

    private mutating func makeUnique() {
        if !isKnownUniquelyReferenced(&walk) { walk = walk.copy() }
    }

    /// The tokens that may follow, without those that end the text.
    package mutating func allowedTokens() -> TokenMask {
        makeUnique()
        return walk.allowedTokens()
    }

    package mutating func mask(_ logits: inout [Float], endTokens: Set<Int>) {
        makeUnique()
        var mask = walk.allowedTokens()
        if walk.mayEnd || walk.fault != nil {
            for token in endTokens { mask.insert(TokenID(clamping: token)) }
        }
        mask.apply(to: &logits)
    }

    package mutating func advance(_ token: Int) {
        makeUnique()
        walk.advance(TokenID(clamping: token))
    }
}

/// Where a text stands in its grammar.
///
/// Unchecked sendable: a constraint makes its walk unique before it changes it.
private final class GrammarWalk: @unchecked Sendable {
    private let trie: TokenTrie
    private let automaton: GrammarAutomaton
    private var position: GrammarAutomaton.Position
    /// Masks by position, as far as a token can tell positions apart: texts come by the same ones again and again, within
    /// strings above all.
    private var masks: [GrammarAutomaton.Position: TokenMask] = [:]
    private(set) var fault: ConstraintError?
    private var hasEnded = false

    private static let mostMasks = 256

    convenience init(_ grammar: Grammar, _ trie: TokenTrie) throws(ConstraintError) {
        let automaton = try GrammarAutomaton(grammar)
        guard automaton.start != GrammarAutomaton.dead else { throw .outsideVocabulary }
        self.init(automaton, automaton.start, trie)
    }

    private init(
        _ automaton: GrammarAutomaton, _ position: GrammarAutomaton.Position, _ trie: TokenTrie
    ) {
        (self.automaton, self.position, self.trie) = (automaton, position, trie)
    }

    func copy() -> GrammarWalk {
        let (automaton, position) = automaton.copy(at: position)
        let copy = GrammarWalk(automaton, position, trie)
        (copy.fault, copy.hasEnded) = (fault, hasEnded)
        return copy
    }

    var mayEnd: Bool { automaton.mayEnd(position) }
    var isAtEnd: Bool { hasEnded || automaton.isAtEnd(position) }

    func allowedTokens() -> TokenMask {
        guard fault == nil, !hasEnded else { return TokenMask(count: trie.vocabularySize) }
        let alike = automaton.representative(of: position, within: trie.longestToken)
        if let known = masks[alike] { return known }
        do throws(ConstraintError) {
            let mask = try automaton.tokens(of: trie, from: alike)
            if masks.count >= Self.mostMasks { masks.removeAll() }
            masks[alike] = mask
            return mask
        } catch {
            fault = error
            return TokenMask(count: trie.vocabularySize)
        }
    }

    func advance(_ token: TokenID) {
        guard fault == nil else { return }
        do throws(ConstraintError) {
            let text = trie.text(of: token)
            if text.isEmpty, mayEnd {
                hasEnded = true
                return
            }
            var next = hasEnded ? GrammarAutomaton.dead : position
            for byte in text { next = try automaton.step(next, byte) }
            guard !text.isEmpty, next != GrammarAutomaton.dead else {
                throw .notAllowed(token: token)
            }
            position = next
            if let renamed = automaton.compact(keeping: position) {
                position = renamed
                masks.removeAll()
            }
        } catch {
            fault = error
        }
    }
}

extension Grammar {
    /// Any JSON object: `response_format: {"type": "json_object"}`.
    package static let jsonObject = SchemaCompiler.anyObject()

    /// The values of a JSON schema.
    /// - Parameter frame: texts that stand around the value.
    package init(
        schema bytes: [UInt8], within frame: (open: String, close: String) = ("", "")
    ) throws(SchemaError) {
        guard bytes.count <= SchemaLimits.bytes else {
            throw SchemaError(
                fault: .limit("a schema of more than \(SchemaLimits.bytes) bytes"), pointer: "")
        }
        let document: JSONDocument
        do { document = try JSONDocument(bytes) } catch {
            throw SchemaError(
                fault: .malformed("byte \(error.offset): \(error.cause)"), pointer: "")
        }
        self = try SchemaCompiler.compile(document.root, within: frame)
    }

    /// Whether the bytes are a text of the grammar.
    package func accepts(_ text: some Sequence<UInt8>) throws(ConstraintError) -> Bool {
        let automaton = try GrammarAutomaton(self)
        var position = automaton.start
        for byte in text { position = try automaton.step(position, byte) }
        return automaton.mayEnd(position)
    }
}
