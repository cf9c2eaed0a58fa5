/// What an answer may consist of, decided token by token while it is sampled.
package protocol TokenConstraint: Sendable {
    /// Sets the logits of all tokens that may not come next to `-infinity`, and leaves at least one.
    /// - Parameters:
    ///   - logits: one per token of the vocabulary.
    ///   - endTokens: those that end the answer; they may come only where the answer is whole.
    mutating func mask(_ logits: inout [Float], endTokens: Set<Int>)

    /// Says which token came.
    mutating func advance(_ token: Int)

    /// Whether nothing can follow: the answer ends here.
    var isComplete: Bool { get }
}
