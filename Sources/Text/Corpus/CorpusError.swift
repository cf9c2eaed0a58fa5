/// Why a corpus could not be read. Every description is one line that names the file.
package enum CorpusError: Error, Equatable, CustomStringConvertible {
    case missing(file: String)
    /// The operating system refused to open or read `file`.
    case unreadable(file: String, cause: String)
    /// No document with any text.
    case empty(file: String)
    /// `offset`: bytes from the start of the decompressed file.
    case malformedUTF8(file: String, offset: Int)
    /// The compressed data ends in the middle.
    case truncated(file: String, format: String)
    /// The compressed data is damaged. `offset`: bytes from the start of the compressed file.
    case corrupt(file: String, format: String, offset: Int, cause: String)
    /// `line` counts from 1.
    case malformedLine(file: String, line: Int, cause: String)
    /// A document or line larger than `limit` bytes.
    case oversized(file: String, offset: Int, limit: Int)
    /// Several documents, but no token to end them with.
    case noEndOfDocument(file: String)

    package var description: String {
        switch self {
        case .missing(let file):
            "\(file): no such file"
        case .unreadable(let file, let cause):
            "\(file): \(cause)"
        case .empty(let file):
            "\(file): the corpus holds no text"
        case .malformedUTF8(let file, let offset):
            "\(file): not valid UTF-8 at byte \(offset) of the text"
        case .truncated(let file, let format):
            "\(file): the \(format) data is truncated"
        case .corrupt(let file, let format, let offset, let cause):
            "\(file): broken \(format) data near byte \(offset): \(cause)"
        case .malformedLine(let file, let line, let cause):
            "\(file): line \(line): \(cause)"
        case .oversized(let file, let offset, let limit):
            "\(file): a document of more than \(limit) bytes starts at byte \(offset) of the text"
        case .noEndOfDocument(let file):
            "\(file): holds several documents, but the tokenizer has no end-of-document token"
        }
    }
}
