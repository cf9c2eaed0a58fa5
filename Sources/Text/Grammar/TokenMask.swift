/// A set of tokens: bit k of word k / 64 says whether token k is in it.
package struct TokenMask: Sendable, Equatable {
    package private(set) var words: [UInt64]

    init(words: [UInt64]) { self.words = words }

    package init(count: Int) { words = Array(repeating: 0, count: (count + 63) / 64) }

    package subscript(token: TokenID) -> Bool {
        let index = Int(token)
        guard index >= 0, index / 64 < words.count else { return false }
        return words[index / 64] >> UInt64(index % 64) & 1 == 1
    }

    /// Adds a token; what lies beyond the end makes the set longer.
    package mutating func insert(_ token: TokenID) {
        let index = Int(token)
        guard index >= 0, index < Vocabulary.idLimit else { return }
        if index / 64 >= words.count {
            words += Array(repeating: 0, count: index / 64 + 1 - words.count)
        }
        words[index / 64] |= 1 << UInt64(index % 64)
    }

    package var isEmpty: Bool { words.allSatisfy { $0 == 0 } }
    package var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    /// The tokens, in order.
    package var tokens: [TokenID] {
        words.enumerated().flatMap { index, word in
            (0..<64).filter { word >> UInt64($0) & 1 == 1 }.map { TokenID(index * 64 + $0) }
        }
    }

    /// Makes the other tokens impossible.
    /// - Parameter logits: one per token; what lies behind the mask's end is not in it.
    package func apply(to logits: inout [Float]) {
        for index in logits.indices
        where index / 64 >= words.count || words[index / 64] >> UInt64(index % 64) & 1 == 0 {
            logits[index] = -.infinity
        }
    }
}
