/// A regular expression of JSON schemas (`pattern`), as far as it is regular: no look-around, no back
/// references, anchors only at the ends.
indirect enum Pattern {
    case characters(CharacterSet)
    case sequence([Pattern])
    case choice([Pattern])
    case repetition(Pattern, minimum: Int, maximum: Int?)

    /// Code points as ranges in order that do not touch.
    struct CharacterSet: Hashable {
        private(set) var ranges: [ClosedRange<UInt32>]

        static let all = CharacterSet([0...0x10FFFF])
        static let ascii = CharacterSet([0...0x7F])
        static let digits = CharacterSet([0x30...0x39])
        static let words = CharacterSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
        static let spaces = CharacterSet([0x09...0x0D, 0x20...0x20])
        /// What some reading takes for a digit, a character of a word or a space.
        static let anyDigits = digits.union(matching { $0.generalCategory == .decimalNumber })
        static let anyWords = words.union(
            matching {
                switch $0.generalCategory {
                case .decimalNumber, .letterNumber, .otherNumber, .connectorPunctuation,
                    .nonspacingMark, .spacingMark, .enclosingMark:
                    true
                default: $0.isAlphabetic || $0.isJoinControl
                }
            })
        static let anySpaces = CharacterSet([
            0x09...0x0D, 0x1C...0x20, 0x180E...0x180E, 0xFEFF...0xFEFF,
        ]).union(matching(\.isWhitespace))

        private static func matching(
            _ condition: (Unicode.Scalar.Properties) -> Bool
        ) -> CharacterSet {
            CharacterSet(
                (0x80...UInt32(0x10FFFF)).compactMap { value in
                    guard let scalar = Unicode.Scalar(value), condition(scalar.properties) else {
                        return nil
                    }
                    return value...value
                })
        }
        static let lineBreaks = CharacterSet([0x0A...0x0A, 0x0D...0x0D, 0x2028...0x2029])

        init(_ ranges: [ClosedRange<UInt32>]) {
            self.ranges = []
            for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
                if let last = self.ranges.last, range.lowerBound <= last.upperBound + 1 {
                    self.ranges[self.ranges.count - 1] =
                        last.lowerBound...max(last.upperBound, range.upperBound)
                } else {
                    self.ranges.append(range)
                }
            }
        }

        /// What of `whole` is not in this set.
        func complement(in whole: CharacterSet = .all) -> CharacterSet {
            var rest: [ClosedRange<UInt32>] = []
            for part in whole.ranges {
                var start = part.lowerBound
                for range in ranges where range.overlaps(part) {
                    if range.lowerBound > start { rest.append(start...range.lowerBound - 1) }
                    start = max(start, range.upperBound + 1)
                }
                if start <= part.upperBound { rest.append(start...part.upperBound) }
            }
            return CharacterSet(rest)
        }

        func union(_ other: CharacterSet) -> CharacterSet { CharacterSet(ranges + other.ranges) }

        func contains(_ value: UInt32) -> Bool {
            var (low, high) = (0, ranges.count)
            while low < high {
                let middle = (low + high) / 2
                if ranges[middle].upperBound < value { low = middle + 1 } else { high = middle }
            }
            return low < ranges.count && ranges[low].lowerBound <= value
        }

        func overlaps(_ other: CharacterSet) -> Bool {
            var (mine, its) = (0, 0)
            while mine < ranges.count, its < other.ranges.count {
                if ranges[mine].overlaps(other.ranges[its]) { return true }
                if ranges[mine].upperBound < other.ranges[its].upperBound {
                    mine += 1
                } else {
                    its += 1
                }
            }
            return false
        }
    }
}

/// Reads ECMAScript's notation. Shorthands mean ASCII: `\d` is 0 to 9, and what `\D`, `\W` and `\S`
/// stand for is generated from ASCII alone, so that every reading of them is satisfied. What must not match
/// a pattern is held against all that any reading finds in it.
struct PatternParser {
    /// What matches by every reading, or by any.
    enum Reading { case narrowest, widest }

    private let source: [Unicode.Scalar]
    private let reading: Reading
    private var position = 0
    private var depth = 0

    init(_ text: String, _ reading: Reading = .narrowest) {
        (source, self.reading) = (Array(text.unicodeScalars), reading)
    }

    /// The whole string that the pattern is searched in: alternatives, each with any characters before
    /// and behind it unless it is anchored.
    mutating func parse() throws(SchemaFault) -> Pattern {
        var alternatives: [Pattern] = []
        let anything = Pattern.repetition(.characters(.all), minimum: 0, maximum: nil)
        repeat {
            let isAnchoredAtStart = take("^")
            var parts = try parseSequence()
            if !isAnchoredAtStart { parts.insert(anything, at: 0) }
            if !take("$") {
                parts.append(anything)
            } else if reading == .widest {
                // Some find the end before a last line's end too.
                let lineEnd = Pattern.characters(.init([0x0A...0x0A]))
                parts.append(.repetition(lineEnd, minimum: 0, maximum: 1))
            }
            alternatives.append(.sequence(parts))
        } while take("|")
        guard position == source.count else { throw unexpected() }
        return alternatives.count == 1 ? alternatives[0] : .choice(alternatives)
    }

    private mutating func parseSequence() throws(SchemaFault) -> [Pattern] {
        var parts: [Pattern] = []
        while let scalar = current, scalar != "|", scalar != ")" {
            if scalar == "$" { break }
            parts.append(try parseQuantified())
        }
        return parts
    }

    private mutating func parseQuantified() throws(SchemaFault) -> Pattern {
        var part = try parseAtom()
        while let scalar = current {
            let bounds: (Int, Int?)
            switch scalar {
            case "*": bounds = (0, nil)
            case "+": bounds = (1, nil)
            case "?": bounds = (0, 1)
            case "{":
                guard let counts = parseCounts() else { throw unexpected() }
                bounds = counts
                position -= 1
            default: return part
            }
            position += 1
            // Lazy or greedy: the same strings.
            _ = take("?")
            guard bounds.1 ?? bounds.0 >= bounds.0,
                max(bounds.0, bounds.1 ?? 0) <= SchemaLimits.patternBytes
            else { throw .limit("a repetition of the pattern is too large, or empty") }
            depth += 1
            guard depth < SchemaLimits.patternBytes else { throw .limit("too many repetitions") }
            part = .repetition(part, minimum: bounds.0, maximum: bounds.1)
            if let next = current, "*+?{".unicodeScalars.contains(next) { throw unexpected() }
        }
        return part
    }

    /// `{3}`, `{3,}`, `{3,5}`.
    private mutating func parseCounts() -> (Int, Int?)? {
        let start = position
        position += 1
        if let minimum = parseInteger() {
            if take("}") { return (minimum, minimum) }
            if take(",") {
                if take("}") { return (minimum, nil) }
                if let maximum = parseInteger(), take("}") { return (minimum, maximum) }
            }
        }
        position = start
        return nil
    }

    private mutating func parseInteger() -> Int? {
        var digits = ""
        while let scalar = current, ("0"..."9").contains(scalar), digits.utf8.count < 9 {
            digits.unicodeScalars.append(scalar)
            position += 1
        }
        return Int(digits)
    }

    private mutating func parseAtom() throws(SchemaFault) -> Pattern {
        guard let scalar = current else { throw .malformed("the pattern ends too early") }
        position += 1
        switch scalar {
        case "(":
            if take("?"), !take(":") { throw .unsupported("look-around and names in a pattern") }
            guard depth < 50 else { throw .limit("a pattern nested deeper than 50") }
            depth += 1
            defer { depth -= 1 }
            var alternatives: [Pattern] = []
            repeat {
                alternatives.append(.sequence(try parseSequence()))
                if current == "$" { throw .unsupported("an anchor within a pattern") }
            } while take("|")
            guard take(")") else { throw .malformed("a group of the pattern does not end") }
            return alternatives.count == 1 ? alternatives[0] : .choice(alternatives)
        case "[": return .characters(try parseClass())
        case ".":
            return .characters(
                reading == .widest ? .all : Pattern.CharacterSet.lineBreaks.complement())
        case "\\": return .characters(try parseEscape(reading).set)
        case "^": throw .unsupported("an anchor within a pattern")
        case "*", "+", "?", "{", "}", "]", ")":
            position -= 1
            throw unexpected()
        default: return .characters(.init([scalar.value...scalar.value]))
        }
    }

    private mutating func parseClass() throws(SchemaFault) -> Pattern.CharacterSet {
        let isNegated = take("^")
        var set = Pattern.CharacterSet([])
        var hasShorthand = false
        while !take("]") {
            guard current != nil else { throw .malformed("a class of the pattern does not end") }
            let first = try parseMember(of: isNegated)
            hasShorthand = hasShorthand || first.single == nil
            guard let low = first.single, current == "-", position + 1 < source.count,
                source[position + 1] != "]"
            else {
                set = set.union(first.set)
                continue
            }
            position += 1
            guard let high = try parseMember(of: isNegated).single, low <= high else {
                throw .malformed("a range of the pattern is out of order")
            }
            set = set.union(.init([low...high]))
        }
        if isNegated {
            set = set.complement(in: hasShorthand && reading == .narrowest ? .ascii : .all)
        }
        return set
    }

    private typealias Member = (set: Pattern.CharacterSet, single: UInt32?)

    private mutating func parseMember(of isNegated: Bool) throws(SchemaFault) -> Member {
        guard let scalar = current else {
            throw .malformed("a class of the pattern does not end")
        }
        position += 1
        // The more is left out, the less is in.
        if scalar == "\\" { return try parseEscape(isNegated ? .narrowest : reading) }
        return (.init([scalar.value...scalar.value]), scalar.value)
    }

    private mutating func parseEscape(_ reading: Reading) throws(SchemaFault) -> Member {
        guard let scalar = current else { throw .malformed("the pattern ends with a backslash") }
        position += 1
        func single(_ value: UInt32) -> Member { (.init([value...value]), value) }
        func shorthand(
            _ narrowest: Pattern.CharacterSet, _ widest: Pattern.CharacterSet
        ) -> Member {
            (reading == .widest ? widest : narrowest, nil)
        }
        typealias Set = Pattern.CharacterSet
        switch scalar {
        case "d": return shorthand(.digits, .anyDigits)
        case "w": return shorthand(.words, .anyWords)
        case "s": return shorthand(.spaces, .anySpaces)
        case "D": return shorthand(Set.digits.complement(in: .ascii), Set.digits.complement())
        case "W": return shorthand(Set.words.complement(in: .ascii), Set.words.complement())
        case "S": return shorthand(Set.spaces.complement(in: .ascii), Set.spaces.complement())
        case "n": return single(0x0A)
        case "t": return single(0x09)
        case "r": return single(0x0D)
        case "f": return single(0x0C)
        case "v": return single(0x0B)
        case "x": return single(try parseCode(digits: 2))
        case "u": return single(try parseCode(digits: 4))
        default:
            guard scalar.value < 0x80, !scalar.isLetter, !scalar.isNumeric else {
                throw .unsupported("'\\\(scalar)' in a pattern")
            }
            return single(scalar.value)
        }
    }

    private mutating func parseCode(digits: Int) throws(SchemaFault) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<digits {
            guard let scalar = current, scalar.value < 0x80,
                let digit = Character(scalar).hexDigitValue
            else { throw .malformed("a broken escape in the pattern") }
            code = code << 4 | UInt32(digit)
            position += 1
        }
        guard Unicode.Scalar(code) != nil else {
            throw .unsupported("surrogates in a pattern")
        }
        return code
    }

    private var current: Unicode.Scalar? { position < source.count ? source[position] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard current == scalar else { return false }
        position += 1
        return true
    }

    private func unexpected() -> SchemaFault {
        .malformed("unexpected '\(current.map(String.init) ?? "end")' in the pattern")
    }
}

/// The part of a `SchemaError` that does not know its place.
typealias SchemaFault = SchemaError.Fault
extension SchemaError.Fault: Error {}
