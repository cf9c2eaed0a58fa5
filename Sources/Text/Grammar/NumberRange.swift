/// Numbers between two integers, as decimal digits.
struct NumberRange {
    static let limit = 100_000_000_000_000_000

    private var low = -Self.limit + 1
    private var high = Self.limit - 1
    private var excludesLow = false
    private var excludesHigh = false
    private(set) var isBounded = false

    mutating func narrow(_ keyword: String, to bound: Int) {
        isBounded = true
        switch keyword {
        case "minimum", "exclusiveMinimum":
            if bound > low { excludesLow = false }
            low = max(low, bound)
            if bound == low, keyword == "exclusiveMinimum" { excludesLow = true }
        default:
            if bound < high { excludesHigh = false }
            high = min(high, bound)
            if bound == high, keyword == "exclusiveMaximum" { excludesHigh = true }
        }
    }

    /// The lowest and the highest integer that, divided by `scale`, are numbers of the range that have no more digits than
    /// may be.
    func scaled(by scale: Int) -> (low: Int, high: Int) {
        let most = (Self.limit - 1) / scale
        return (
            max(low, -most) * scale + (excludesLow ? 1 : 0),
            min(high, most) * scale - (excludesHigh ? 1 : 0)
        )
    }

    /// The integers of the range; nil if there are none.
    func integers(_ grammar: inout Grammar, _ next: Grammar.State) -> Grammar.State? {
        let low = excludesLow ? self.low + 1 : self.low
        let high = excludesHigh ? self.high - 1 : self.high
        guard low <= high else { return nil }
        var branches: [Grammar.State] = []
        if high >= 0 { branches.append(Self.digits(max(low, 0)...high, &grammar, next)) }
        if low < 0 {
            let magnitudes = Self.digits(max(-high, 1)...(-low), &grammar, next)
            branches.append(grammar.literal("-", then: magnitudes))
        }
        return grammar.add(.split(branches))
    }

    /// The numbers of the range, without exponents; nil if there are none.
    func numbers(_ grammar: inout Grammar, _ next: Grammar.State) -> Grammar.State? {
        guard low < high || low == high && !excludesLow && !excludesHigh else { return nil }
        var branches: [Grammar.State] = []
        if high >= 0 {
            branches += Self.magnitudes(
                from: max(low, 0), excludesLow && low >= 0, to: high, excludesHigh, &grammar, next)
        }
        if low < 0 {
            let magnitudes = Self.magnitudes(
                from: max(-high, 0), excludesHigh && high <= 0, to: -low, excludesLow, &grammar,
                next)
            branches += magnitudes.map { grammar.literal("-", then: $0) }
        }
        return branches.isEmpty ? nil : grammar.add(.split(branches))
    }

    /// Numbers that are not negative: whole parts below `high` with any fraction, and `high` itself.
    private static func magnitudes(
        from low: Int, _ excludesLow: Bool, to high: Int, _ excludesHigh: Bool,
        _ grammar: inout Grammar, _ next: Grammar.State
    ) -> [Grammar.State] {
        var branches: [Grammar.State] = []
        if low < high {
            let wholes = excludesLow ? low + 1 : low
            if wholes < high {
                let fraction = grammar.fraction(orNone: next)
                branches.append(digits(wholes...high - 1, &grammar, fraction))
            }
            if excludesLow {
                // Above `low` by a fraction whose last digit is not 0.
                let last = grammar.bytes([0x31...0x39], then: next)
                branches.append(grammar.literal("\(low).", then: last))
            }
        }
        if !excludesHigh, low < high || !excludesLow {
            branches.append(grammar.literal(String(high), then: next))
        }
        return branches
    }

    /// Integers that are not negative, without leading zeros.
    private static func digits(
        _ range: ClosedRange<Int>, _ grammar: inout Grammar, _ next: Grammar.State
    ) -> Grammar.State {
        var branches: [Grammar.State] = []
        let lowest = Array(String(range.lowerBound).utf8)
        let highest = Array(String(range.upperBound).utf8)
        for length in lowest.count...highest.count {
            let first: [UInt8] =
                length == lowest.count
                ? lowest : [0x31] + Array(repeating: 0x30, count: length - 1)
            let last: [UInt8] =
                length == highest.count ? highest : Array(repeating: 0x39, count: length)
            branches.append(between(first[...], last[...], &grammar, next))
        }
        return grammar.add(.split(branches))
    }

    /// Digits of one length between two numbers of that length.
    private static func between(
        _ first: ArraySlice<UInt8>, _ last: ArraySlice<UInt8>, _ grammar: inout Grammar,
        _ next: Grammar.State
    ) -> Grammar.State {
        guard let low = first.first, let high = last.first else { return next }
        // All digits are free: without this the two halves below would double at every digit.
        if first.allSatisfy({ $0 == 0x30 }), last.allSatisfy({ $0 == 0x39 }) {
            return first.reduce(next) { state, _ in grammar.bytes([0x30...0x39], then: state) }
        }
        let (lowRest, highRest) = (first.dropFirst(), last.dropFirst())
        if low == high {
            let rest = between(lowRest, highRest, &grammar, next)
            return grammar.bytes([low...low], then: rest)
        }
        let zeros = Array(repeating: UInt8(0x30), count: lowRest.count)[...]
        let nines = Array(repeating: UInt8(0x39), count: lowRest.count)[...]
        var edges: [Grammar.Edge] = []
        func add(_ range: ClosedRange<UInt8>, _ target: Grammar.State) {
            edges.append(
                Grammar.Edge(low: range.lowerBound, high: range.upperBound, target: target))
        }
        add(low...low, between(lowRest, nines, &grammar, next))
        add(high...high, between(zeros, highRest, &grammar, next))
        if low + 1 < high {
            let free = nines.reduce(next) { state, _ in
                grammar.bytes([0x30...0x39], then: state)
            }
            add(low + 1...high - 1, free)
        }
        return grammar.add(.bytes(edges))
    }
}
