import Heal

/// The tokens that a draft can guess: the most frequent ones of its text.
struct DraftVocabulary {
    /// The model's numbers, ascending.
    let tokens: [Int]
    /// Share of the text that they are.
    let coverage: Double

    /// Windows that are counted at most: enough for the order of what matters.
    private static let mostWindows = 8_192

    init(_ windows: TrainingWindows, size: Int, of vocabulary: Int) throws {
        var counts = [Int](repeating: 0, count: vocabulary)
        // Spread over the text.
        let step = max(1, windows.count / Self.mostWindows)
        for index in stride(from: 0, to: windows.count, by: step) {
            for token in try windows.window(index).dropLast() { counts[Int(token)] += 1 }
        }
        // Equal ones by their number.
        let order = counts.indices.sorted { (counts[$1], $0) < (counts[$0], $1) }
        tokens = order.prefix(size).sorted()
        let all = counts.reduce(0, +)
        coverage = Double(tokens.reduce(0) { $0 + counts[$1] }) / Double(max(1, all))
    }
}
