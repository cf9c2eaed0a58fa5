import Serve
import Synchronization
import Text

/// What `response_format` asks for, as constraints of the sampler.
final class ServedFormats: Sendable {
    private let tokenizer: Tokenizer
    /// Made for the first answer that needs it: the tree of a large vocabulary takes half a second.
    private let trie = Mutex<TokenTrie?>(nil)

    init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

    func constraint(for format: JSON) throws -> any TokenConstraint {
        let grammar: Grammar
        switch format["type"]?.string {
        case "json_object": grammar = .jsonObject
        case "json_schema":
            guard let schema = format["json_schema"]?["schema"] else {
                throw UnknownFormat(description: "`json_schema.schema` is missing")
            }
            grammar = try Grammar(schema: Array(schema.utf8))
        default:
            throw UnknownFormat(description: "`type` must be text, json_object or json_schema")
        }
        return try GrammarConstraint(grammar, tree())
    }

    /// Holds an answer to one call of a tool.
    /// - Parameter schema: of the object between the marks.
    func constraint(forCall schema: JSON, _ marks: ToolCallMarks) throws -> any TokenConstraint {
        let grammar = try Grammar(
            schema: schema.utf8, within: (marks.open + "\n", "\n" + marks.close))
        return try GrammarConstraint(grammar, tree())
    }

    private func tree() -> TokenTrie {
        trie.withLock { trie in
            let tree = trie ?? TokenTrie(tokenizer)
            trie = tree
            return tree
        }
    }

    private struct UnknownFormat: Error, CustomStringConvertible { let description: String }
}
