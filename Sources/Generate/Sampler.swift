import Foundation
import Tensors

/// Draws tokens from logits. Pure: the same options, logits and history give the same tokens.
package struct Sampler {
    private let options: SamplingOptions
    private var random: RandomSource
    private var seen: Set<Int> = []

    package init(_ options: SamplingOptions) throws(SamplingOptionsError) {
        try options.validate()
        self.options = options
        random = RandomSource(seed: options.seed)
    }

    /// Tells the sampler of tokens that stand in the text already.
    package mutating func observe(_ tokens: some Sequence<Int>) {
        if options.repetitionPenalty != 1 { seen.formUnion(tokens) }
    }

    /// Whether the choice is the likeliest token, whatever its lead.
    package var isGreedy: Bool { options.temperature == 0 }

    /// Whether the choice depends on nothing but which token is the likeliest.
    package var isPlain: Bool { isGreedy && options.repetitionPenalty == 1 }

    /// Draws one token and remembers it.
    /// - Parameter logits: one per token of the vocabulary; not empty.
    package mutating func next(_ logits: [Float]) -> Int {
        precondition(!logits.isEmpty, "a vocabulary has tokens")
        let penalized = penalize(logits)
        let token = isGreedy ? Self.likeliest(penalized) : draw(from: distribution(penalized))
        observe(CollectionOfOne(token))
        return token
    }

    /// The next choice, for a device that makes it as `next` would, up to rounding; `accept` what comes of it.
    ///
    /// `nil` where an option is the host's alone: logits must come to `next` then.
    package var choice: TokenChoice? {
        var ahead = random
        return TokenChoice(
            options: options, seen: seen, uniform: isGreedy ? 0 : ahead.unit())
    }

    /// Remembers the token that `choice` led to.
    package mutating func accept(_ token: Int) {
        if !isGreedy { _ = random.unit() }
        observe(CollectionOfOne(token))
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
        guard options.repetitionPenalty != 1 else { return logits }
        var penalized = logits
        let penalty = Float(options.repetitionPenalty)
        for token in seen where penalized.indices.contains(token) {
            penalized[token] =
                penalized[token] > 0 ? penalized[token] / penalty : penalized[token] * penalty
        }
        return penalized
    }

    private mutating func draw(from tokens: [(token: Int, probability: Double)]) -> Int {
        let point = random.unit()
        var sum = 0.0
        for (token, probability) in tokens {
            sum += probability
            if point < sum { return token }
        }
        // Rounding may leave the sum a hair under 1.
        return tokens[tokens.count - 1].token
    }

    private static func likeliest(_ logits: [Float]) -> Int {
        var best = 0
        for index in logits.indices where logits[index] > logits[best] { best = index }
        return best
    }
}
