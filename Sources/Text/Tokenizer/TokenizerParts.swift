/// Ids of the tokens with a role. Nil where the files name none.
package struct TokenRoles: Sendable, Equatable {
    package var endOfText: TokenID?
    package var beginningOfText: TokenID?
    package var padding: TokenID?
    package var unknown: TokenID?
}

/// The tokens put around a text when special tokens are asked for.
struct TokenFrame: Sendable, Equatable {
    var prefix: [TokenID] = []
    var suffix: [TokenID] = []
}

/// What a tokenizer is made of, whichever file it was read from.
struct TokenizerParts: Sendable {
    var vocabulary: Vocabulary
    var addedTokens: [AddedToken]
    var normalizer: Normalizer
    var preTokenizer: PreTokenizer
    var model: BytePairModel
    var decoder: TokenDecoder
    var frame: TokenFrame
    var roles: TokenRoles
    /// The word mark, if no merge reaches over the start of a word (see `WordMark`).
    var harmlessMark: WordMark?
}
