import Foundation

/// How likely a token was, and which others were.
package struct TokenLogprobs: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package let token: Int
        /// Natural logarithm of the probability that the model gave, before temperature, penalties and cut-offs.
        package let logprob: Double
    }

    package let chosen: Entry
    /// Likeliest first.
    package let top: [Entry]

    init(chosen: Entry, top: [Entry]) { (self.chosen, self.top) = (chosen, top) }

    /// - Parameters:
    ///   - logits: one per token of the vocabulary, finite.
    ///   - count: of the likeliest tokens that are listed.
    package init(of token: Int, _ logits: [Float], top count: Int) {
        let largest = logits.max() ?? 0
        var sum = 0.0
        for logit in logits { sum += Double(exp(logit - largest)) }
        let normalizer = Double(largest) + log(sum)
        func entry(_ token: Int) -> Entry {
            Entry(token: token, logprob: Double(logits[token]) - normalizer)
        }
        // Equal ones in the order of their ids.
        var best: [Int] = []
        if count > 0 {
            for token in logits.indices {
                if best.count == count, logits[token] <= logits[best[count - 1]] { continue }
                if best.count == count { best.removeLast() }
                best.insert(token, at: best.firstIndex { logits[$0] < logits[token] } ?? best.count)
            }
        }
        chosen = entry(token)
        top = best.map(entry)
    }
}
