import Foundation
import Text

/// A JSON-lines file of documents.
struct TaskFile<Document: TaskDocument> {
    let path: String
    let documents: [Document]

    /// Reads the first of `names` that is in `folder`, as it is or compressed.
    init(_ names: [String], in folder: String) throws {
        let candidates = names.flatMap { name in ["", ".xz", ".gz"].map { name + $0 } }
        guard
            let name = candidates.first(where: {
                FileManager.default.fileExists(atPath: "\(folder)/\($0)")
            })
        else { throw TaskError.noFile(folder: folder, names: names) }
        path = "\(folder)/\(name)"
        var reader = try Corpus(path: path).documents()
        var documents: [Document] = []
        while let line = try reader.nextLine() {
            do {
                let document = try JSONDecoder().decode(Document.self, from: Data(line.bytes))
                if let fault = document.fault {
                    throw TaskError.line(file: path, number: line.number, cause: fault)
                }
                documents.append(document)
            } catch let error as DecodingError {
                throw TaskError.line(file: path, number: line.number, cause: error.cause)
            }
        }
        guard !documents.isEmpty else { throw TaskError.noDocuments(file: path) }
        self.documents = documents
    }
}

package enum TaskError: Error, CustomStringConvertible {
    case noFile(folder: String, names: [String])
    case noDocuments(file: String)
    case line(file: String, number: Int, cause: String)
    /// More examples than there are documents to draw them from.
    case tooFewExamples(file: String, wanted: Int, available: Int)
    /// A continuation that is empty, or longer than the model's context.
    case continuation(task: String, document: Int, tokens: Int, context: Int)
    /// No room for a response behind even one token of the prompt.
    case context(tokens: Int, needed: Int)
    case noStartToken

    package var description: String {
        switch self {
        case .noFile(let folder, let names):
            "\(folder): no \(names.joined(separator: " and no ")) (nor either compressed: .xz, .gz)"
        case .noDocuments(let file): "\(file): no documents"
        case .line(let file, let number, let cause): "\(file): line \(number): \(cause)"
        case .tooFewExamples(let file, let wanted, let available):
            "\(file): \(wanted) examples are wanted of \(available) documents"
        case .continuation(let task, let document, let tokens, let context):
            "\(task), document \(document): a continuation of \(tokens) tokens cannot be scored in a context of \(context)"
        case .context(let tokens, let needed):
            "the model's context of \(tokens) tokens leaves no room for a response of \(needed)"
        case .noStartToken:
            "a prompt is empty and the tokenizer names no token that a text begins or ends with"
        }
    }
}

extension DecodingError {
    /// In one clause, for whoever wrote the file.
    fileprivate var cause: String {
        func name(_ path: [any CodingKey]) -> String {
            let parts = path.map { key in key.intValue.map { "[\($0)]" } ?? key.stringValue }
            return parts.isEmpty ? "the line" : parts.joined(separator: ".")
        }
        switch self {
        case .keyNotFound(let key, _): return "no member \(key.stringValue.debugDescription)"
        case .valueNotFound(let type, let context):
            return "\(name(context.codingPath)) is null, not \(type)"
        case .typeMismatch(let type, let context):
            return "\(name(context.codingPath)) is not \(type)"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty
                ? "broken JSON" : "\(name(context.codingPath)): \(context.debugDescription)"
        @unknown default: return "\(self)"
        }
    }
}
