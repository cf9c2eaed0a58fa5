import Foundation
import Tensors
import Text

/// Draws tokens from logits. Pure: the same options, logits and history give the same tokens.
package struct Sampler {
    private let options: SamplingOptions
    private var random: RandomSource
    private var seen: Set<Int> = []
    /// Of tokens that were drawn.
    private var counts: [Int: Int] = [:]
    /// What the text may consist of.
    private var constraint: (any TokenConstraint)?
    private let endTokens: Set<Int>

    /// - Parameters:
    ///   - constraint: at its beginning.
    ///   - endTokens: those that end the text, for the constraint.
    package init(
        _ options: SamplingOptions, constraint: (any TokenConstraint)? = nil,
        endTokens: Set<Int> = []
    ) throws(SamplingOptionsError) {
        try options.validate()
        self.options = options
        (self.constraint, self.endTokens) = (constraint, endTokens)
        random = RandomSource(seed: options.seed)
    }

    /// Tells the sampler of tokens that stand in the text already.
    package mutating func observe(_ tokens: some Sequence<Int>) {
        if options.repetitionPenalty != 1 { seen.formUnion(tokens) }
    }

    /// Whether the choice is the likeliest token, whatever its lead.
    package var isGreedy: Bool { options.temperature == 0 }

    /// Whether the choice depends on nothing but which token is the likeliest.
    package var isPlain: Bool {
        isGreedy && !changesLogits && options.logprobs == nil && constraint == nil
    }

    private var changesLogits: Bool {
        options.repetitionPenalty != 1 || options.presencePenalty != 0
            || options.frequencyPenalty != 0 || !options.bias.isEmpty
    }

    /// Whether the constraint lets nothing follow.
    package var isComplete: Bool { constraint?.isComplete ?? false }

    /// What is reported of a token beside it; `nil` where nothing is.
    package var reportedTokens: Int? { options.logprobs }

    /// Draws one token and remembers it.
    /// - Parameter logits: one per token of the vocabulary; not empty.
    package mutating func next(_ logits: [Float]) -> Int {
        precondition(!logits.isEmpty, "a vocabulary has tokens")
        var penalized = penalize(logits)
        let endTokens = self.endTokens
        constraint?.mask(&penalized, endTokens: endTokens)
        let token = isGreedy ? Self.likeliest(penalized) : draw(from: penalized)
        observe(CollectionOfOne(token))
        if options.presencePenalty != 0 || options.frequencyPenalty != 0 {
            counts[token, default: 0] += 1
        }
        constraint?.advance(token)
        return token
    }

    /// Probabilities of the tokens that temperature and cut-offs leave, likeliest first.
    /// - Precondition: not greedy.
    package func distribution(_ logits: [Float]) -> [(token: Int, probability: Double)] {
        // Order of the cut-offs as in transformers: temperature, top-k, top-p, min-p; each works on
        // what the one before it left, renormalised.
        let top = Double(logits.max() ?? 0)
        var kept = logits.enumerated()
            .map {
                (
                    token: $0.offset,
                    probability: exp((Double($0.element) - top) / options.temperature)
                )
            }
        // Equal probabilities keep the order of their token ids, so that results do not depend on the
        // sort.
        kept.sort { ($1.probability, $0.token) < ($0.probability, $1.token) }
        if let topK = options.topK, topK < kept.count { kept.removeLast(kept.count - topK) }
        if options.topP < 1 {
            let total = kept.reduce(0) { $0 + $1.probability }
            var sum = 0.0
            if let last = kept.firstIndex(where: {
                sum += $0.probability
                return sum >= options.topP * total
            }) {
                kept.removeLast(kept.count - last - 1)
            }
        }
        if options.minP > 0, let best = kept.first?.probability {
            kept.removeAll { $0.probability < options.minP * best }
        }
        let total = kept.reduce(0) { $0 + $1.probability }
        return kept.map { ($0.token, $0.probability / total) }
    }

    private func penalize(_ logits: [Float]) -> [Float] {
        guard changesLogits else { return logits }
        var penalized = logits
        if options.repetitionPenalty != 1 {
            let penalty = Float(options.repetitionPenalty)
            for token in seen where penalized.indices.contains(token) {
                penalized[token] =
                    penalized[token] > 0 ? penalized[token] / penalty : penalized[token] * penalty
            }
        }
        for (token, count) in counts where penalized.indices.contains(token) {
            penalized[token] -= Float(
                options.presencePenalty + options.frequencyPenalty * Double(count))
        }
        for (token, bias) in options.bias where penalized.indices.contains(token) {
            penalized[token] += Float(bias)
        }
        return penalized
    }

    private mutating func draw(from logits: [Float]) -> Int {
        let tokens = distribution(logits)
        let point = random.unit()
        var sum = 0.0
        for (token, probability) in tokens {
            sum += probability
            if point < sum { return token }
        }
        // Rounding may leave the sum a hair under 1; what a constraint forbids has no probability.
        return (tokens.last { $0.probability > 0 } ?? tokens[0]).token
    }

    private static func likeliest(_ logits: [Float]) -> Int {
        var best = 0
        for index in logits.indices where logits[index] > logits[best] { best = index }
        return best
    }
}
