import Artifacts
import Tensors
import Text

/// The windows that training reads: `length + 1` tokens, the last of one being the first of the next, so
/// that every token is predicted once in a pass over the text; a file's last partial window is left out.
///
/// Windows go on across the ends of documents, positions and attention included: so were the models
/// trained, and so are they evaluated, and a mask over documents would cost the fused attention that has
/// none.
package struct TrainingWindows {
    package let files: [TokenFile]
    package let length: Int
    /// Windows of each file.
    private let counts: [Int]
    package let count: Int

    package init(_ files: [TokenFile], length: Int) throws {
        self.files = files
        self.length = length
        counts = files.map { max(0, $0.count - 1) / length }
        count = counts.reduce(0, +)
        guard count > 0 else {
            throw HealError.textTooShort(files: files.map(\.source), window: length)
        }
    }

    /// Those of files of text, encoded or found in the cache.
    /// - Parameter folder: of the tokenizer.
    package init(
        _ corpus: [String], _ tokenizer: Tokenizer, folder: String, length: Int, cache: String,
        tell: (TrainingEvent) throws -> Void
    ) throws {
        let identity = try TokenFile.identity(ofTokenizer: folder)
        let files = try corpus.map { path in
            try TokenFile.cached(Corpus(path: path), tokenizer, identity: identity, in: cache) {
                try tell(.encoding(file: path, bytes: $0))
            }
        }
        try self.init(files, length: length)
    }

    /// `length + 1` tokens.
    package func window(_ index: Int) throws -> [Int32] {
        let (file, start) = place(of: index)
        return try files[file].tokens(start..<start + length + 1)
    }

    func place(of index: Int) -> (file: Int, start: Int) {
        precondition((0..<count).contains(index), "window \(index) of \(count)")
        var rest = index
        for (file, count) in counts.enumerated() {
            if rest < count { return (file, rest * length) }
            rest -= count
        }
        preconditionFailure("the counts add up")
    }

    /// Where a window lies, for messages.
    func description(of index: Int) -> String {
        let (file, start) = place(of: index)
        let (first, last) = (
            files[file].document(of: start), files[file].document(of: start + length)
        )
        let documents = first == last ? "document \(first)" : "documents \(first)–\(last)"
        return "\(files[file].source), \(documents), tokens \(start)–\(start + length)"
    }
}
