/// A pattern as a nondeterministic automaton over code points, and as states of a grammar.
struct PatternAutomaton {
    private struct State {
        var steps: [(set: Pattern.CharacterSet, target: Int)] = []
        var jumps: [Int] = []
    }

    private var states: [State] = [State()]
    private let start: Int
    /// State 0 is the end.
    private let end = 0

    init(_ pattern: Pattern) throws(SchemaFault) {
        var building = Building()
        start = try building.add(pattern, then: 0)
        states = building.states
    }

    /// - Parameter text: a regular expression.
    init(
        reading text: String, _ reading: PatternParser.Reading = .narrowest
    ) throws(SchemaFault) {
        guard text.utf8.count <= SchemaLimits.patternBytes else {
            throw .limit("more than \(SchemaLimits.patternBytes) bytes")
        }
        var parser = PatternParser(text, reading)
        try self.init(try parser.parse())
    }

    private struct Building {
        var states: [State] = [State()]

        mutating func add(_ state: State) throws(SchemaFault) -> Int {
            guard states.count < SchemaLimits.patternStates else {
                throw .limit(
                    "a pattern of more than \(SchemaLimits.patternStates) states, written out")
            }
            states.append(state)
            return states.count - 1
        }

        mutating func add(_ pattern: Pattern, then next: Int) throws(SchemaFault) -> Int {
            switch pattern {
            case .characters(let set): return try add(State(steps: [(set, next)]))
            case .sequence(let parts):
                var state = next
                for part in parts.reversed() { state = try add(part, then: state) }
                return state
            case .choice(let parts):
                var jumps: [Int] = []
                for part in parts { jumps.append(try add(part, then: next)) }
                return try add(State(jumps: jumps))
            case .repetition(let part, let minimum, let maximum):
                var state = next
                if let maximum {
                    for _ in minimum..<maximum {
                        let once = try add(part, then: state)
                        state = try add(State(jumps: [once, next]))
                    }
                } else {
                    state = try add(State())
                    let once = try add(part, then: state)
                    states[state].jumps = [once, next]
                }
                for _ in 0..<minimum { state = try add(part, then: state) }
                return state
            }
        }
    }

    // MARK: Running it

    /// The sets of characters that it tells apart.
    var sets: Set<Pattern.CharacterSet> { Set(states.flatMap { $0.steps.map(\.set) }) }

    /// The states that a text can be in before its first character.
    var first: Set<Int> { closed([start]) }

    /// The states behind a character.
    func step(_ reached: Set<Int>, _ character: UInt32) -> Set<Int> {
        var next: Set<Int> = []
        for state in reached {
            for step in states[state].steps where step.set.contains(character) {
                next.insert(step.target)
            }
        }
        return closed(next)
    }

    /// Whether a text that has led to these states matches.
    func matches(_ reached: Set<Int>) -> Bool { reached.contains(end) }

    func matches(_ text: String) -> Bool {
        matches(text.unicodeScalars.reduce(first) { step($0, $1.value) })
    }

    /// What `matches` may take, as effort is counted.
    func effort(of text: String) -> Int { (1 + text.unicodeScalars.count) * stateCount }

    private var stateCount: Int { states.count }

    private func closed(_ reached: Set<Int>) -> Set<Int> {
        var (all, open) = (reached, Array(reached))
        while let state = open.popLast() {
            for target in states[state].jumps where all.insert(target).inserted {
                open.append(target)
            }
        }
        return all
    }

    /// Whether no text matches both; `false` as well where that takes longer to say than there is effort left.
    func isDisjoint(from other: PatternAutomaton, effort: inout Int) -> Bool {
        effort -= stateCount + other.stateCount
        var seen: Set<Int> = []
        var open: [(mine: Int, its: Int)] = []
        func add(_ mine: Int, _ its: Int) {
            if seen.insert(mine * other.states.count + its).inserted { open.append((mine, its)) }
        }
        add(start, other.start)
        while let (mine, its) = open.popLast() {
            if mine == end, its == other.end { return false }
            effort -= 1
            if effort < 0 { return false }
            for target in states[mine].jumps { add(target, its) }
            for target in other.states[its].jumps { add(mine, target) }
            for step in states[mine].steps {
                for otherStep in other.states[its].steps {
                    effort -= 1 + (step.set.ranges.count + otherStep.set.ranges.count) / 8
                    if step.set.overlaps(otherStep.set) { add(step.target, otherStep.target) }
                }
            }
        }
        return true
    }

    /// Adds the strings (without the opening quote) that match, of so many characters.
    func compile(
        into grammar: inout Grammar, minimum: Int, maximum: Int?, then next: Grammar.State
    ) throws(SchemaFault) -> Grammar.State {
        let close = grammar.literal("\"", then: next)
        // How long the text is matters up to here.
        let limit = maximum ?? minimum
        var made: [Int: Grammar.State] = [:]
        var open: [(state: Int, length: Int)] = []
        func place(_ state: Int, _ length: Int, _ grammar: inout Grammar) -> Grammar.State {
            let key = state * (limit + 1) + length
            if let there = made[key] { return there }
            let new = grammar.reserve()
            made[key] = new
            open.append((state, length))
            return new
        }
        let first = place(start, 0, &grammar)
        while let (state, length) = open.popLast() {
            guard grammar.nodes.count < SchemaLimits.states else {
                throw .limit("a pattern with a length takes too many states")
            }
            var targets = states[state].jumps.map { place($0, length, &grammar) }
            if state == end, length >= minimum { targets.append(close) }
            if maximum == nil || length < limit {
                for step in states[state].steps {
                    let target = place(step.target, min(length + 1, limit), &grammar)
                    targets.append(grammar.character(of: step.set, then: target))
                }
            }
            if let here = made[state * (limit + 1) + length] {
                grammar.define(here, .split(targets))
            }
        }
        return first
    }
}

extension Grammar {
    /// One character of a set within a JSON string: plain where it can be, else its shortest escape.
    mutating func characters(_ set: Pattern.CharacterSet, then next: State) -> [Edge] {
        var edges: [Edge] = []
        for range in set.ranges {
            for plain in [0x20...0x21, 0x23...0x5B, 0x5D...UInt32(0x10FFFF)]
            where plain.overlaps(range) {
                for ranges in UTF8Ranges.sequences(of: plain.clamped(to: range)) {
                    let rest = ranges.dropFirst().reversed().reduce(next) { state, range in
                        bytes([range], then: state)
                    }
                    edges.append(
                        Edge(
                            low: ranges[0].lowerBound, high: ranges[0].upperBound, target: rest))
                }
            }
            for value in Array(0..<UInt32(0x20)) + [0x22, 0x5C] where range.contains(value) {
                let spelling = JSONText.escape(UInt8(value))
                edges.append(edge("\\", literal(spelling.dropFirst(), then: next)))
            }
        }
        return edges
    }
}

/// JSON texts as this project writes them: no blanks, escapes only where they must be.
enum JSONText {
    static func escape(_ byte: UInt8) -> [UInt8] {
        let short: [UInt8: String] = [
            0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f", 0x0D: "\\r", 0x22: "\\\"",
            0x5C: "\\\\",
        ]
        if let text = short[byte] { return Array(text.utf8) }
        if byte >= 0x20 { return [byte] }
        return Array(("\\u" + TemplatePrinter.hexadecimal(UInt32(byte), digits: 4)).utf8)
    }

    static func quoted(_ text: String) -> [UInt8] {
        [UInt8(ascii: "\"")] + text.utf8.flatMap { escape($0) } + [UInt8(ascii: "\"")]
    }

    static func bytes(of value: JSONValue) -> [UInt8] {
        switch value.kind {
        case .null: return Array("null".utf8)
        case .true: return Array("true".utf8)
        case .false: return Array("false".utf8)
        case .number: return Array((value.numberText ?? "0").utf8)
        case .string: return quoted(value.string ?? "")
        case .array:
            let parts = value.elements.map {
                bytes(of: JSONValue(document: value.document, index: $0))
            }
            return Array("[".utf8) + parts.joined(separator: ",".utf8) + Array("]".utf8)
        case .object:
            let parts = value.keys.map { key in
                bytes(of: JSONValue(document: value.document, index: key)) + Array(":".utf8)
                    + bytes(of: JSONValue(document: value.document, index: key + 1))
            }
            return Array("{".utf8) + parts.joined(separator: ",".utf8) + Array("}".utf8)
        }
    }
}
