/// Strings, numbers and arrays.
extension SchemaCompiler {
    private func bounds(
        _ names: (minimum: String, maximum: String), _ keywords: [String: SchemaPlace],
        _ place: SchemaPlace
    ) throws(SchemaError) -> (minimum: Int, maximum: Int?) {
        let minimum = try keywords[names.minimum].map { (place) throws(SchemaError) in
            try place.count()
        }
        let maximum = try keywords[names.maximum].map { (place) throws(SchemaError) in
            try place.count()
        }
        if let maximum, maximum < minimum ?? 0 {
            throw place.error(
                .unsatisfiable("'\(names.maximum)' is below '\(names.minimum)'"))
        }
        return (minimum ?? 0, maximum)
    }

    mutating func compileString(
        _ keywords: [String: SchemaPlace], _ place: SchemaPlace, then next: State
    ) throws(SchemaError) -> State {
        let (minimum, maximum) = try bounds(("minLength", "maxLength"), keywords, place)
        if let pattern = keywords["pattern"] {
            guard let text = pattern.value.string else {
                throw pattern.error(.malformed("a pattern is a string"))
            }
            do throws(SchemaFault) {
                let rest = try PatternAutomaton(reading: text).compile(
                    into: &grammar, minimum: minimum, maximum: maximum, then: next)
                return grammar.literal("\"", then: rest)
            } catch {
                throw pattern.error(error)
            }
        }
        if minimum == 0, maximum == nil {
            return grammar.literal("\"", then: grammar.stringRest(then: next))
        }
        let character = grammar.rule { grammar, end in
            let edges = grammar.character(then: end)
            return grammar.add(.bytes(edges))
        }
        let close = grammar.literal("\"", then: next)
        return grammar.literal(
            "\"",
            then: grammar.add(
                .count(
                    rule: character, minimum: Int32(minimum), maximum: maximum.map(Int32.init),
                    next: close)))
    }

    mutating func compileArray(
        _ keywords: [String: SchemaPlace], _ place: SchemaPlace, then next: State
    ) throws(SchemaError) -> State {
        let (minimum, maximum) = try bounds(("minItems", "maxItems"), keywords, place)
        let first = try keywords["prefixItems"]?.elements() ?? []
        let close = grammar.literal("]", then: next)
        let blankThenClose = grammar.blanks(blank, then: close)
        // Elements behind the first ones: a comma and an element, so many times.
        let more = grammar.reserveRule()
        let end = grammar.add(.end)
        let rest =
            keywords["items"]
            ?? SchemaPlace(value: place.value, pointer: place.pointer)
        let element =
            keywords["items"] == nil
            ? grammar.add(.call(rule: any.value, next: end, nests: false))
            : try compile(rest, following: [], then: end)
        let elementRule = grammar.reserveRule()
        grammar.define(rule: elementRule, element)
        grammar.define(
            rule: more,
            grammar.blanks(
                blank,
                then: grammar.literal(
                    ",",
                    then: grammar.blanks(
                        blank,
                        then: grammar.add(.call(rule: elementRule, next: end, nests: false))))))
        func count(_ done: Int) -> Grammar.Node {
            .count(
                rule: more, minimum: Int32(max(0, minimum - done)),
                maximum: maximum.map { Int32(max(0, $0 - done)) }, next: blankThenClose)
        }
        // From the last of the first elements to the first.
        var state: State
        if first.isEmpty {
            let repeated = grammar.add(count(1))
            state = grammar.add(.call(rule: elementRule, next: repeated, nests: false))
        } else {
            state = grammar.add(count(first.count))
            for (index, schema) in first.enumerated().reversed() {
                // Behind this element: the end, if there are enough, or more.
                var behind: [State] = []
                if index + 1 >= minimum { behind.append(blankThenClose) }
                let isFull = maximum.map { index + 1 >= $0 } ?? false
                if index + 1 == first.count {
                    if !isFull { behind.append(state) }
                } else if !isFull {
                    let comma = grammar.literal(",", then: grammar.blanks(blank, then: state))
                    behind.append(grammar.blanks(blank, then: comma))
                }
                let after = grammar.add(.split(behind))
                state = try compile(schema, following: [], then: after)
            }
        }
        var starts: [State] = maximum == 0 ? [] : [state]
        if minimum == 0 { starts.append(close) }
        return grammar.literal("[", then: grammar.blanks(blank, then: grammar.add(.split(starts))))
    }

    mutating func compileNumber(
        _ keywords: [String: SchemaPlace], _ place: SchemaPlace, isWhole: Bool, then next: State
    ) throws(SchemaError) -> State {
        var range = NumberRange()
        for name in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
            guard let bound = keywords[name] else { continue }
            guard let text = bound.value.numberText, let number = Double(text) else {
                throw bound.error(.malformed("a bound is a number"))
            }
            guard let whole = Int(exactly: number), abs(whole) < NumberRange.limit else {
                throw bound.error(
                    .unsupported("bounds that are no integers of fewer than 18 digits"))
            }
            range.narrow(name, to: whole)
        }
        if let multiple = keywords["multipleOf"] {
            return try compile(multiple, range, place, isWhole: isWhole, then: next)
        }
        guard range.isBounded else {
            return isWhole ? grammar.integer(then: next) : grammar.number(then: next)
        }
        let state = isWhole ? range.integers(&grammar, next) : range.numbers(&grammar, next)
        guard let state else { throw place.error(.unsatisfiable("no number is within the bounds")) }
        return state
    }

    private mutating func compile(
        _ multiple: SchemaPlace, _ range: NumberRange, _ place: SchemaPlace, isWhole: Bool,
        then next: State
    ) throws(SchemaError) -> State {
        guard let text = multiple.value.numberText, Double(text) ?? 0 > 0 else {
            throw multiple.error(.malformed("'multipleOf' is a number above 0"))
        }
        guard let step = ExactDecimal(text), step.digits > 0 else {
            throw multiple.error(.limit("a number of more than 18 digits"))
        }
        do throws(SchemaFault) {
            let state = try range.multiples(of: step, isWhole: isWhole, &grammar, next)
            guard let state else { throw .unsatisfiable("no number is within the bounds") }
            return state
        } catch {
            throw multiple.error(error)
        }
    }
}
