/// Why a tokenizer could not be loaded or used. Every description is one line that names the file.
package enum TokenizerError: Error, Equatable, CustomStringConvertible {
    /// Neither `tokenizer.json` nor `tokenizer.model` is at `path`.
    case notFound(path: String)
    /// The operating system refused to read `file`.
    case unreadable(file: String, cause: String)
    /// `file` is not well formed, or a value in it has the wrong type.
    case malformed(file: String, cause: String)
    /// `file` is well formed but asks for something that is not implemented here.
    case unsupported(file: String, part: String, found: String)
    /// Merge number `index` (0-based) cannot be applied.
    case brokenMerge(file: String, index: Int, cause: String)
    /// Two different tokens claim the same id, or one token claims two ids.
    case conflictingIDs(file: String, cause: String)
    /// An id below 0, or so large that the tables indexed by id would be absurd.
    case idOutOfRange(file: String, token: String, id: String, limit: Int)
    /// An id given to decode that the vocabulary does not have.
    case unknownID(id: Int, vocabularySize: Int)

    package var description: String {
        switch self {
        case .notFound(let path):
            "\(path): no tokenizer.json and no tokenizer.model found"
        case .unreadable(let file, let cause), .malformed(let file, let cause),
            .conflictingIDs(let file, let cause):
            "\(file): \(cause)"
        case .unsupported(let file, let part, let found):
            "\(file): \(part) is not supported: \(found)"
        case .brokenMerge(let file, let index, let cause):
            "\(file): merge \(index): \(cause)"
        case .idOutOfRange(let file, let token, let id, let limit):
            "\(file): token \(token) has id \(id), allowed are 0 ..< \(limit)"
        case .unknownID(let id, let vocabularySize):
            "no token has id \(id) (the vocabulary holds \(vocabularySize) ids)"
        }
    }
}

extension String {
    /// The text as it may stand in a one-line message: quoted, escaped, at most `limit` scalars.
    func quoted(limit: Int = 160) -> String {
        let head = String(String.UnicodeScalarView(unicodeScalars.prefix(limit)))
        return head.debugDescription + (unicodeScalars.count > limit ? "…" : "")
    }
}
