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

    /// The next choice, for a device that makes it as `next` would, up to rounding; `accept` what comes of it.
    ///
    /// `nil` where an option is the host's alone: logits must come to `next` then.
    package var choice: TokenChoice? {
        guard options.presencePenalty == 0, options.frequencyPenalty == 0, options.bias.isEmpty,
            options.logprobs == nil, constraint == nil
        else { return nil }
        var ahead = random
        return TokenChoice(
            options: options, seen: seen, uniform: isGreedy ? 0 : ahead.unit())
    }

    /// The choices of the next token and of those behind each of `draft`, if that is what is chosen.
    package func choices(assuming draft: [Int]) -> [TokenChoice?] {
        var ahead = self
        return [choice]
            + draft.map { token in
                guard ahead.choice != nil else { return nil }
                ahead.accept(token)
                return ahead.choice
            }
    }

    /// The next `count` choices, whatever is chosen: chance and options, without what the tokens in between change.
    package func choices(_ count: Int) -> [TokenChoice?] {
        var ahead = self
        return (0..<count).map { _ in
            defer { if !isGreedy { _ = ahead.random.unit() } }
            return ahead.choice
        }
    }

    /// Remembers the token that `choice` led to.
    package mutating func accept(_ token: Int) {
        if !isGreedy { _ = random.unit() }
        observe(CollectionOfOne(token))
    }

    /// Probabilities of the tokens that temperature and cut-offs leave, likeliest first.
    /// - Precondition: not greedy.
    package func distribution(_ logits: [Float]) -> [(token: Int, probability: Double)] {
        let kept = kept(weights(logits))
        let total = kept.reduce(0) { $0 + $1.weight }
        return kept.map { ($0.token, $0.weight / total) }
    }

    private typealias Candidate = (token: Int, weight: Double)

    /// Probabilities of all tokens, times a number; the likeliest has 1.
    private func weights(_ logits: [Float]) -> [Double] {
        let top = Double(logits.max() ?? 0)
        return logits.map { exp((Double($0) - top) / options.temperature) }
    }

    /// What the cut-offs leave, likeliest first.
    /// - Parameter share: of the probability; what comes behind it is not wanted where no cut-off looks at it.
    private func kept(_ weights: [Double], share: Double = .infinity) -> [Candidate] {
        // Order of the cut-offs as in transformers: temperature, top-k, top-p, min-p; each works on
        // what the one before it left, renormalised.
        var kept: [Candidate]
        if let topK = options.topK {
            kept = Self.leading(weights) { _, count, _ in count >= topK }
            kept.removeLast(max(0, kept.count - topK))
            if options.topP < 1 {
                Self.cut(&kept, at: options.topP * kept.reduce(0) { $0 + $1.weight })
            }
        } else if options.topP < 1 {
            let mass = options.topP * weights.reduce(0, +)
            kept = Self.leading(weights) { _, _, sum in sum > mass }
            Self.cut(&kept, at: mass)
        } else if options.minP > 0 {
            // The likeliest weighs 1.
            kept = Self.leading(weights) { bound, _, _ in bound <= options.minP }
        } else {
            let mass = share * weights.reduce(0, +)
            kept = Self.leading(weights) { _, _, sum in sum > mass }
        }
        if options.minP > 0, let best = kept.first?.weight {
            kept.removeAll { $0.weight < options.minP * best }
        }
        return kept
    }

    /// The likeliest tokens in their order, as many as are enough or more: a vocabulary has 150,000 of them, and sorting
    /// all takes longer than a step on a GPU.
    /// - Parameter isEnough: asked with the weight that all of them have at least, their number and their sum.
    private static func leading(
        _ weights: [Double], _ isEnough: (_ bound: Double, _ count: Int, _ sum: Double) -> Bool
    ) -> [Candidate] {
        var bound = 1e-2
        while true {
            var (kept, sum) = ([Candidate](), 0.0)
            for (token, weight) in weights.enumerated() where weight >= bound {
                kept.append((token, weight))
                sum += weight
            }
            if bound == 0 || isEnough(bound, kept.count, sum) {
                // Equal ones keep the order of their ids, so that results do not depend on the sort.
                kept.sort { ($1.weight, $0.token) < ($0.weight, $1.token) }
                return kept
            }
            bound = bound > 1e-12 ? bound * 1e-2 : 0
        }
    }

    /// Leaves the fewest whose weights reach `mass` together.
    private static func cut(_ kept: inout [Candidate], at mass: Double) {
        var sum = 0.0
        guard
            let last = kept.firstIndex(where: {
                sum += $0.weight
                return sum >= mass
            })
        else { return }
        kept.removeLast(kept.count - last - 1)
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
        draw(from: logits, at: random.unit())
    }

    /// - Parameter point: from 0 to below 1, of the tokens' probabilities one behind the other, likeliest first.
    private func draw(from logits: [Float], at point: Double) -> Int {
        let weights = weights(logits)
        let isCut = options.topK != nil || options.topP < 1 || options.minP > 0
        let kept = kept(weights, share: point)
        let total = isCut ? kept.reduce(0) { $0 + $1.weight } : weights.reduce(0, +)
        var sum = 0.0
        for (token, weight) in kept {
            sum += weight
            if point * total < sum { return token }
        }
        // Rounding may leave the sum a hair too small; what a constraint forbids has no weight.
        return (kept.last { $0.weight > 0 } ?? kept[0]).token
    }

    /// What `choice` takes of logits that need not be the model's: a draft model guesses with the same chance, and so often
    /// the same.
    package static func place(of choice: TokenChoice?, in logits: [Float]) -> Int {
        guard let choice, !choice.isGreedy, let sampler = try? Sampler(choice.options) else {
            return likeliest(logits)
        }
        return sampler.draw(from: logits, at: choice.uniform)
    }

    private static func likeliest(_ logits: [Float]) -> Int {
        var best = 0
        for index in logits.indices where logits[index] > logits[best] { best = index }
        return best
    }
}
