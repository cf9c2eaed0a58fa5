import Foundation
import Yams

/// A recipe's YAML, read with its lines.
struct RecipeReader {
    /// A key with what stands behind it.
    struct Entry {
        let key: String
        /// With the parts that it stands in: "plan.keep".
        let path: String
        let line: Int
        fileprivate let node: Node
    }

    private let file: String
    private let root: Node

    init(_ file: String) throws {
        self.file = file
        guard FileManager.default.fileExists(atPath: file) else {
            throw RecipeError.unreadable(file: file, reason: "does not exist")
        }
        let text: String
        do {
            text = try String(contentsOfFile: file, encoding: .utf8)
        } catch {
            throw RecipeError.unreadable(
                file: file, reason: "cannot be read as a text file in UTF-8")
        }
        do {
            guard let root = try Yams.compose(yaml: text) else {
                throw RecipeError.unreadable(file: file, reason: "is empty")
            }
            self.root = root
        } catch let error as YamlError {
            throw Self.syntax(error, in: file)
        }
    }

    func entries() throws -> [Entry] { try entries(of: root, path: nil) }

    func section(_ entry: Entry, _ part: RecipePart) throws -> Recipe.Section {
        let keys = part.keys
        let values = try entries(of: entry.node, path: entry.path).map { inner in
            guard let key = keys.first(where: { $0.name == inner.key }) else {
                throw unknown(inner, in: part, known: keys.map(\.name))
            }
            return try value(inner, key)
        }
        return Recipe.Section(line: entry.line, values: values)
    }

    func unknown(_ entry: Entry, in part: RecipePart?, known: [String]) -> RecipeError {
        .unknownKey(file: file, line: entry.line, key: entry.path, known: known)
    }

    private func entries(of node: Node, path: String?) throws -> [Entry] {
        guard case .mapping(let mapping) = node else {
            throw RecipeError.wrongType(
                file: file, line: node.mark?.line ?? 1, key: path ?? "the recipe",
                expected: "keys with values")
        }
        var known: Set<String> = []
        return try mapping.map { name, value in
            let line = name.mark?.line ?? 1
            guard case .scalar(let scalar) = name else {
                throw RecipeError.syntax(file: file, line: line, reason: "a key must be a word")
            }
            let full = (path.map { $0 + "." } ?? "") + scalar.string
            guard known.insert(scalar.string).inserted else {
                throw RecipeError.repeatedKey(file: file, line: line, key: full)
            }
            return Entry(key: scalar.string, path: full, line: line, node: value)
        }
    }

    // MARK: Values

    func value(_ entry: Entry, _ key: RecipeKey) throws -> RecipeValue {
        func found<Value>(_ value: Value?, or expected: String) throws -> Value {
            guard let value else {
                throw RecipeError.wrongType(
                    file: file, line: entry.line, key: entry.path, expected: expected)
            }
            return value
        }
        let node = entry.node
        let words: [String]
        switch key.kind {
        case .number:
            let number = plain(node) { Double($0)?.isFinite == true }
            words = [try found(number, or: "a number")]
        case .whole:
            words = [try found(plain(node) { Int($0) != nil }, or: "a whole number")]
        case .flag, .choice:
            let flag = plain(node) { $0 == "true" || $0 == "false" }
            words = [try found(flag, or: "true or false")]
        case .text:
            words = [try found(word(node), or: "a word")]
        case .list:
            let all = try found(self.words(node), or: "a word or a list of words")
            words = [all.joined(separator: ",")]
        case .path:
            words = [absolute(try found(word(node), or: "a path"))]
        case .paths, .folders:
            words = try found(self.words(node), or: "a path or a list of paths").map(absolute)
        }
        return RecipeValue(key: key, line: entry.line, words: words)
    }

    /// A scalar without quotes that is what it should be.
    private func plain(_ node: Node, where holds: (String) -> Bool) -> String? {
        guard case .scalar(let scalar) = node, scalar.style == .plain, holds(scalar.string)
        else { return nil }
        return scalar.string
    }

    /// Any scalar with something in it; a plain null is none.
    private func word(_ node: Node) -> String? {
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty,
            scalar.style != .plain || !["null", "Null", "NULL", "~"].contains(scalar.string)
        else { return nil }
        return scalar.string
    }

    /// A scalar, or some of them.
    private func words(_ node: Node) -> [String]? {
        guard case .sequence(let sequence) = node else { return word(node).map { [$0] } }
        let words = sequence.compactMap(word)
        return words.isEmpty || words.count < sequence.count ? nil : words
    }

    /// Relative to the recipe's folder; a leading `~` is the user's home.
    private func absolute(_ path: String) -> String {
        if path == "~" || path.hasPrefix("~/") {
            return FileManager.default.homeDirectoryForCurrentUser.path + path.dropFirst()
        }
        let folder = URL(fileURLWithPath: file).deletingLastPathComponent()
        return URL(fileURLWithPath: path, relativeTo: folder).standardizedFileURL.path
    }

    // MARK: Faults

    private static func syntax(_ error: YamlError, in file: String) -> RecipeError {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return .syntax(file: file, line: mark.line, reason: problem)
        case .duplicatedKeysInMapping(let keys, let context):
            return .repeatedKey(
                file: file, line: context.mark.line,
                key: keys.joined(separator: ", "))
        default:
            return .unreadable(file: file, reason: "\(error)")
        }
    }
}
