/// What stands between two documents of a plain text corpus, and after the last.
package enum DocumentSeparator {
    package static let text = "\n\n<|endoftext|>\n\n"
    static let bytes = Array(text.utf8)
}

/// A file of documents: plain text or JSON lines, as it is or compressed with gzip or xz.
///
/// Nothing is read until documents are asked for, and they are read one at a time.
package struct Corpus: Sendable {
    package enum Format: Sendable, Equatable {
        /// UTF-8 text, documents ended by `DocumentSeparator`.
        case plainText
        /// One JSON object a line; the text is in the string member `field`.
        case jsonLines(field: String)
    }

    /// A document larger than this is refused rather than held in memory.
    static let documentLimit = 1 << 30

    package let path: String
    package let format: Format
    /// Only this many characters (Unicode scalars) of the text are read, separators included; the
    /// document at the limit is cut. Plain text only.
    package let characterLimit: Int?

    /// - Parameter format: nil: JSON lines (`text`) if the name ends in `.jsonl`, before any `.gz` or
    ///   `.xz`; else plain text.
    package init(path: String, format: Format? = nil, characterLimit: Int? = nil) {
        self.path = path
        self.format = format ?? Self.format(named: path)
        self.characterLimit = characterLimit
    }

    private static func format(named path: String) -> Format {
        var name = path[...]
        for suffix in [".gz", ".xz"] where name.hasSuffix(suffix) {
            name = name.dropLast(suffix.count)
        }
        return name.hasSuffix(".jsonl") ? .jsonLines(field: "text") : .plainText
    }

    /// The documents in order. Every call starts at the beginning.
    package func documents() throws(CorpusError) -> DocumentReader {
        try DocumentReader(self)
    }
}
