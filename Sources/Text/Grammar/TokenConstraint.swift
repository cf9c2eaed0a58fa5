/// What the next token of a text may be. One per request; used by one task at a time.
package protocol TokenConstraint: AnyObject, Sendable {
    /// The tokens that may follow; never empty. Tokens that end the text are in it only where the text is
    /// complete.
    func allowedTokens() throws(ConstraintError) -> TokenMask
    /// Goes on behind `token`, which must be one of the allowed ones.
    func advance(_ token: TokenID) throws(ConstraintError)
    /// Whether the text may end here.
    var isComplete: Bool { get }
}

package enum ConstraintError: Error, Equatable, CustomStringConvertible {
    case notAllowed(token: TokenID)
    /// The vocabulary has no token for any of the bytes that may follow.
    case noToken
    /// More readings of the text are open than are followed.
    case tooAmbiguous(limit: Int)

    package var description: String {
        switch self {
        case .notAllowed(let token): "token \(token) is not allowed by the response format"
        case .noToken: "the vocabulary has no token that the response format allows"
        case .tooAmbiguous(let limit):
            "the response format leaves more than \(limit) readings of the text open"
        }
    }
}
