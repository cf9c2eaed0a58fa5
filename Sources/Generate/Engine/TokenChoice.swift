/// How one token is to be chosen, everything that chance has to say included: the same logits give the same token.
package struct TokenChoice: Sendable {
    package let options: SamplingOptions
    /// Tokens that the repetition penalty concerns.
    package let seen: Set<Int>
    /// Of the tokens that are left, likeliest first, the one that it falls on is drawn; from 0 to below 1.
    package let uniform: Double

    package init(options: SamplingOptions, seen: Set<Int>, uniform: Double) {
        (self.options, self.seen, self.uniform) = (options, seen, uniform)
    }

    package var isGreedy: Bool { options.temperature == 0 }

    /// Whether it depends on nothing but which token is the likeliest.
    package var isPlain: Bool { isGreedy && options.repetitionPenalty == 1 }
}
