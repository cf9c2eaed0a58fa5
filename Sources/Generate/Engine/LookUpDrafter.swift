/// Guesses that what followed the last tokens where they stood before follows them again (prompt look-up decoding): free of
/// training, and right where text repeats itself, as in code, quotations and summaries.
package final class LookUpDrafter: Drafter {
    package let limit: Int
    private let longest: Int
    private let shortest: Int
    private var indices: [RequestID: Index] = [:]

    /// Where runs of tokens ended last, by their length.
    private struct Index {
        private(set) var places: [[[Int32]: Int]]
        /// Tokens that are known.
        var count = 0

        init(lengths: Int) { places = Array(repeating: [:], count: lengths) }

        mutating func note(_ run: [Int32], endingAt place: Int, length: Int) {
            places[length][run] = place
        }
    }

    /// - Parameters:
    ///   - longest: run of tokens that is looked for first; then shorter ones.
    ///   - shortest: run that says something.
    package init(limit: Int, longest: Int = 4, shortest: Int = 2) {
        (self.limit, self.longest, self.shortest) = (limit, longest, shortest)
    }

    package func draft(
        behind step: Scheduler.Step, _ turns: [DraftTurn]
    ) -> [RequestID: [Int32]] {
        var drafts: [RequestID: [Int32]] = [:]
        for turn in turns where turn.wanted > 0 {
            let draft = draft(turn.request, turn.tokens, count: min(turn.wanted, limit))
            if !draft.isEmpty { drafts[turn.request] = draft }
        }
        return drafts
    }

    package func end(_ request: RequestID) { indices[request] = nil }

    private func draft(_ request: RequestID, _ tokens: [Int32], count: Int) -> [Int32] {
        var index = indices[request] ?? Index(lengths: longest - shortest + 1)
        // Of the runs that end before the last token something follows.
        for end in index.count..<max(index.count, tokens.count - 1) {
            for length in shortest...longest where length <= end + 1 {
                index.note(
                    Array(tokens[end + 1 - length...end]), endingAt: end,
                    length: length - shortest)
            }
        }
        index.count = max(index.count, tokens.count - 1)
        indices[request] = index
        for length in (shortest...longest).reversed() where length < tokens.count {
            if let end = index.places[length - shortest][Array(tokens.suffix(length))] {
                return Array(tokens[end + 1..<min(end + 1 + count, tokens.count)])
            }
        }
        return []
    }
}
