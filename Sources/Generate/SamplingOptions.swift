/// How the next token is chosen from the logits.
package struct SamplingOptions: Sendable, Equatable {
    /// Logits are divided by it; 0 takes the likeliest token.
    package var temperature = 0.0
    /// Only the `topK` likeliest tokens stay; `nil` keeps all.
    package var topK: Int?
    /// Only the smallest set of likeliest tokens whose probabilities reach `topP` stays.
    package var topP = 1.0
    /// Only tokens at least `minP` times as likely as the likeliest stay.
    package var minP = 0.0
    /// Logits of tokens that occurred are divided by it where positive, multiplied where negative
    /// (Keskar et al. 2019, arXiv 1909.05858); 1 leaves them.
    package var repetitionPenalty = 1.0
    /// Taken from the logit of every token that was generated, once, and times its count (as in OpenAI's interface).
    package var presencePenalty = 0.0
    package var frequencyPenalty = 0.0
    /// Added to the logits of tokens.
    package var bias: [Int: Double] = [:]
    /// How many of the likeliest tokens are reported with each token, beside the token itself; `nil` reports nothing.
    package var logprobs: Int?
    package var seed: UInt64 = 0

    package init() {}

    /// What is wrong with the options, if anything.
    package func validate() throws(SamplingOptionsError) {
        guard temperature >= 0, temperature.isFinite else { throw .temperature(temperature) }
        if let topK, topK < 1 { throw .topK(topK) }
        guard topP > 0, topP <= 1 else { throw .topP(topP) }
        guard minP >= 0, minP <= 1 else { throw .minP(minP) }
        guard repetitionPenalty > 0, repetitionPenalty.isFinite else {
            throw .repetitionPenalty(repetitionPenalty)
        }
        for penalty in [presencePenalty, frequencyPenalty] where !(-2...2).contains(penalty) {
            throw .occurrencePenalty(penalty)
        }
        if let (token, value) = bias.first(where: { $0.key < 0 || !(-100...100).contains($0.value) }
        ) {
            throw .bias(token: token, value)
        }
        if let logprobs, !(0...20).contains(logprobs) { throw .logprobs(logprobs) }
    }
}

package enum SamplingOptionsError: Error, Equatable, CustomStringConvertible {
    case temperature(Double)
    case topK(Int)
    case topP(Double)
    case minP(Double)
    case repetitionPenalty(Double)
    case occurrencePenalty(Double)
    case bias(token: Int, Double)
    case logprobs(Int)

    package var description: String {
        switch self {
        case .temperature(let value): "temperature must be 0 or more, not \(value)"
        case .topK(let value): "top-k must be 1 or more, not \(value)"
        case .topP(let value): "top-p must be above 0 and at most 1, not \(value)"
        case .minP(let value): "min-p must be from 0 to 1, not \(value)"
        case .repetitionPenalty(let value): "repetition penalty must be above 0, not \(value)"
        case .occurrencePenalty(let value):
            "presence and frequency penalty must be from -2 to 2, not \(value)"
        case .bias(let token, let value):
            "the bias of a token must be from -100 to 100, and that of token \(token) is \(value)"
        case .logprobs(let value): "log-probabilities are of 0 to 20 tokens, not of \(value)"
        }
    }
}
