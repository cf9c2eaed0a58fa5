/// How a draft is trained, beside what every training is asked.
package struct DraftOptions: Sendable, Equatable {
    package enum Loss: String, Sendable, CaseIterable, Codable {
        /// KL of the draft's predictions from the target's, of the tokens that can be drafted.
        case divergence = "kl"
        /// 1 − Σ min(p, q): the share of draws that would be refused.
        case acceptance
    }

    /// Passes of training-time test, each on the output of the one before.
    package var passes = 7
    package var loss = Loss.divergence
    /// Tokens that can be drafted, the most frequent ones of the text; `nil`: a half of the vocabulary, 32,000 at most.
    package var vocabulary: Int?
    /// The model writes the text itself, behind beginnings of the corpus' windows; `nil`: the corpus as it is.
    package var regeneration: Regeneration?
    /// Share of a pass' loss in that of the one before.
    static let decay = 0.8

    package init() {}
}
