/// Why a text cannot be held to a grammar.
package enum ConstraintError: Error, Equatable, CustomStringConvertible {
    case notAllowed(token: TokenID)
    /// No text of the vocabulary's tokens is a text of the grammar.
    case outsideVocabulary
    /// More readings of the text are open than are followed.
    case tooAmbiguous(limit: Int)

    package var description: String {
        switch self {
        case .notAllowed(let token): "token \(token) is not allowed by the response format"
        case .outsideVocabulary: "the vocabulary lacks the bytes that the response format needs"
        case .tooAmbiguous(let limit):
            "the response format leaves more than \(limit) readings of the text open"
        }
    }
}
