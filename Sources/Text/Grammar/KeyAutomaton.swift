/// Texts of plain characters that match none of some patterns and are none of some names: the keys of an object that
/// `additionalProperties` speaks of. The subsets of the patterns' states that a text can lead to are the states.
struct KeyAutomaton {
    /// Subsets at most.
    private static let mostStates = 2_000

    private let patterns: [PatternAutomaton]
    /// Ranges of characters that no pattern tells apart.
    private let classes: [ClosedRange<UInt32>]

    /// - Parameter patterns: read in the widest way: what a validator might find in a key is not to be there.
    init(avoiding patterns: [PatternAutomaton], _ names: [String]) throws(SchemaFault) {
        var all = patterns
        for name in names {
            let characters = name.unicodeScalars.map {
                Pattern.characters(.init([$0.value...$0.value]))
            }
            all.append(try PatternAutomaton(.sequence(characters)))
        }
        self.patterns = all
        let plain = Pattern.CharacterSet([0x20...0x21, 0x23...0x5B, 0x5D...0x10FFFF])
        var bounds: Set<UInt32> = []
        for set in all.flatMap(\.sets) + [plain] {
            for range in set.ranges {
                bounds.insert(range.lowerBound)
                bounds.insert(range.upperBound + 1)
            }
        }
        let sorted = bounds.sorted()
        classes = zip(sorted, sorted.dropFirst()).map { $0...($1 - 1) }.filter { range in
            plain.ranges.contains { $0.contains(range.lowerBound) }
        }
    }

    /// Adds the keys (without the opening quote).
    /// - Parameter effort: states of patterns that may still be looked at.
    func compile(
        into grammar: inout Grammar, effort: inout Int, then next: Grammar.State
    ) throws(SchemaFault) -> Grammar.State {
        let close = grammar.literal("\"", then: next)
        var made: [[Set<Int>]: Grammar.State] = [:]
        var open: [[Set<Int>]] = []
        func place(_ subset: [Set<Int>], _ grammar: inout Grammar) -> Grammar.State {
            if let there = made[subset] { return there }
            made[subset] = grammar.reserve()
            open.append(subset)
            return made[subset] ?? close
        }
        let first = place(patterns.map(\.first), &grammar)
        while let subset = open.popLast() {
            effort -= classes.count * subset.reduce(1) { $0 + $1.count }
            guard effort > 0, made.count <= Self.mostStates,
                grammar.nodes.count < SchemaLimits.states
            else {
                throw .limit("what is in none of the patterns takes too many states")
            }
            var targets: [[Set<Int>]: [ClosedRange<UInt32>]] = [:]
            for range in classes {
                let target = zip(patterns, subset).map { $0.step($1, range.lowerBound) }
                targets[target, default: []].append(range)
            }
            var branches: [Grammar.State] = []
            let isTaken = zip(patterns, subset).contains { $0.matches($1) }
            if !isTaken { branches.append(close) }
            for (target, ranges) in targets.sorted(by: {
                $0.value[0].lowerBound < $1.value[0].lowerBound
            }) {
                let rest = place(target, &grammar)
                branches.append(grammar.character(of: .init(ranges), then: rest))
            }
            grammar.define(made[subset] ?? close, .split(branches))
        }
        return first
    }
}
