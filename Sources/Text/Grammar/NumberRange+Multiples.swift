/// Numbers of a range that are multiples of one: the remainder of the digits so far is part of the state, so that the text
/// can end where it is 0. What counts is the decimal number, not the binary fraction that a double would make of it.
extension NumberRange {
    /// Remainders that are told apart at most, and digits behind the point.
    static let mostRemainders = 5_000
    static let mostPlaces = 9

    /// - Parameter step: above 0.
    /// - Returns: nil if there are none, or none that can be told within the limits.
    func multiples(
        of step: ExactDecimal, isWhole: Bool, _ grammar: inout Grammar, _ next: Grammar.State
    ) throws(SchemaFault) -> Grammar.State? {
        guard step.places <= Self.mostPlaces else {
            throw .limit("a multiple with more than \(Self.mostPlaces) digits behind the point")
        }
        var divisor = step.digits
        let scale = Self.power(step.places)
        // An integer n is a multiple of d / 10^p where n is one of d / gcd(d, 10^p).
        if isWhole { divisor /= Self.greatestCommonDivisor(divisor, scale) }
        guard divisor <= Self.mostRemainders else {
            throw .limit("multiples of more than \(Self.mostRemainders)")
        }
        let places = isWhole ? 0 : step.places
        let (low, high) = scaled(by: Self.power(places))
        guard low <= high else { return nil }
        var branches: [Grammar.State] = []
        if high >= 0 {
            branches += Multiples(divisor, places, next).decimals(max(low, 0)...high, &grammar)
        }
        if low < 0 {
            let magnitudes = max(-high, 1)...(-low)
            branches += Multiples(divisor, places, next).decimals(magnitudes, &grammar).map {
                grammar.literal("-", then: $0)
            }
        }
        return grammar.add(.split(branches))
    }

    private static func power(_ places: Int) -> Int { (0..<places).reduce(1) { x, _ in 10 * x } }

    private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
        b == 0 ? a : greatestCommonDivisor(b, a % b)
    }
}

/// Decimal numbers that are not negative, times 10^`places` multiples of `divisor`.
private struct Multiples {
    private let divisor: Int
    private let places: Int
    private let next: Grammar.State
    /// States behind which so many digits of any kind follow, by their number and the remainder of those before.
    private var free: [Int: Grammar.State] = [:]

    init(_ divisor: Int, _ places: Int, _ next: Grammar.State) {
        (self.divisor, self.places, self.next) = (divisor, places, next)
    }

    /// - Parameter range: of the digits, those behind the point included.
    consuming func decimals(
        _ range: ClosedRange<Int>, _ grammar: inout Grammar
    ) -> [Grammar.State] {
        var branches: [Grammar.State] = []
        let lowest = padded(range.lowerBound)
        let highest = padded(range.upperBound)
        for length in lowest.count...highest.count {
            let first: [UInt8] =
                length == lowest.count ? lowest : [1] + Array(repeating: 0, count: length - 1)
            let last: [UInt8] =
                length == highest.count ? highest : Array(repeating: 9, count: length)
            branches.append(state(first[...], last[...], 0, &grammar))
        }
        return branches
    }

    /// One digit before the point at least.
    private func padded(_ number: Int) -> [UInt8] {
        let digits = String(number).utf8.map { $0 - 0x30 }
        return Array(repeating: 0, count: max(0, places + 1 - digits.count)) + digits
    }

    /// - Parameters:
    ///   - first: the lowest digits that may follow; `last` the highest.
    ///   - remainder: of the digits before.
    private mutating func state(
        _ first: ArraySlice<UInt8>, _ last: ArraySlice<UInt8>, _ remainder: Int,
        _ grammar: inout Grammar
    ) -> Grammar.State {
        let count = first.count
        guard count > 0 else { return remainder == 0 ? next : grammar.add(.split([])) }
        let isFree = first.allSatisfy { $0 == 0 } && last.allSatisfy { $0 == 9 }
        let key = count * divisor + remainder
        if isFree, let known = free[key] { return known }
        var state = digit(first, last, remainder, &grammar)
        if count == places { state = grammar.literal(".", then: state) }
        // The digits that are left out are zeros.
        if count <= places, first.allSatisfy({ $0 == 0 }),
            (0..<count).reduce(remainder, { value, _ in value * 10 % divisor }) == 0
        {
            state = grammar.add(.split([next, state]))
        }
        if isFree { free[key] = state }
        return state
    }

    private mutating func digit(
        _ first: ArraySlice<UInt8>, _ last: ArraySlice<UInt8>, _ remainder: Int,
        _ grammar: inout Grammar
    ) -> Grammar.State {
        guard let low = first.first, let high = last.first else { return next }
        let zeros = Array(repeating: UInt8(0), count: first.count - 1)[...]
        let nines = Array(repeating: UInt8(9), count: first.count - 1)[...]
        var edges: [Grammar.Edge] = []
        for digit in low...high {
            let target = state(
                digit == low ? first.dropFirst() : zeros, digit == high ? last.dropFirst() : nines,
                (remainder * 10 + Int(digit)) % divisor, &grammar)
            edges.append(Grammar.Edge(low: 0x30 + digit, high: 0x30 + digit, target: target))
        }
        return grammar.add(.bytes(edges))
    }
}
