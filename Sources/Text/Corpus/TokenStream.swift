/// The tokens of a corpus, document after document, encoded when they are asked for.
///
/// Documents are encoded without special tokens. If the corpus has several, each is followed by the
/// end-of-document token; a corpus of one document is encoded as it is.
package struct TokenStream {
    private let tokenizer: Tokenizer
    private let file: String
    private let endOfDocument: TokenID?
    private var documents: DocumentReader
    /// Read ahead, to know whether there are several documents.
    private var upcoming: [UInt8]?
    private var endsDocuments = false
    private var isStarted = false

    /// - Parameter endOfDocument: by default the tokenizer's end-of-text token.
    package init(
        _ corpus: Corpus, _ tokenizer: Tokenizer, endOfDocument: TokenID? = nil
    ) throws(CorpusError) {
        self.tokenizer = tokenizer
        self.endOfDocument = endOfDocument ?? tokenizer.eosToken
        file = corpus.path
        documents = try corpus.documents()
    }

    /// The tokens of the next document, with the end-of-document token if there is to be one; nil
    /// after the last document.
    package mutating func nextDocument() throws(CorpusError) -> [TokenID]? {
        if !isStarted {
            isStarted = true
            upcoming = try documents.nextUTF8()
            let second = try upcoming == nil ? nil : documents.nextUTF8()
            endsDocuments = second != nil
            if endsDocuments, endOfDocument == nil { throw .noEndOfDocument(file: file) }
            guard let first = upcoming else { return nil }
            upcoming = second
            return encode(first)
        }
        guard let document = upcoming else { return nil }
        upcoming = try documents.nextUTF8()
        return encode(document)
    }

    private func encode(_ document: [UInt8]) -> [TokenID] {
        var tokens = tokenizer.encode(utf8: document)
        if endsDocuments, let endOfDocument { tokens.append(endOfDocument) }
        return tokens
    }
}
