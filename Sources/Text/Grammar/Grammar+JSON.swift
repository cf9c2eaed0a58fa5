/// The parts of JSON (RFC 8259) as states.
extension Grammar {
    /// Up to `SchemaLimits.blanks` blanks: enough for indented JSON, and an end to blanks.
    mutating func blanks(_ blank: Int, then next: State) -> State {
        add(.count(rule: blank, minimum: 0, maximum: Int32(SchemaLimits.blanks), next: next))
    }

    mutating func blankRule() -> Int {
        rule { grammar, end in
            grammar.bytes([0x09...0x0A, 0x0D...0x0D, 0x20...0x20], then: end)
        }
    }

    /// The characters of a string, any number of them, and its closing quote.
    mutating func stringRest(then next: State) -> State {
        let state = reserve()
        define(state, .bytes(character(then: state) + [edge("\"", next)]))
        return state
    }

    /// One character of a string, plain or escaped.
    mutating func character(then next: State) -> [Edge] {
        plainCharacter(then: next) + [edge("\\", escape(then: next))]
    }

    /// One character that needs no escape.
    mutating func plainCharacter(then next: State) -> [Edge] {
        UTF8Ranges.plain.map { ranges in
            let rest = ranges.dropFirst().reversed().reduce(next) { state, range in
                bytes([range], then: state)
            }
            return Edge(low: ranges[0].lowerBound, high: ranges[0].upperBound, target: rest)
        }
    }

    /// What may follow a backslash. Surrogates only in pairs: a lone one is no character.
    private mutating func escape(then next: State) -> State {
        let digit: [ClosedRange<UInt8>] = [0x30...0x39, 0x41...0x46, 0x61...0x66]
        let one = bytes(digit, then: next)
        let two = bytes(digit, then: one)
        let three = bytes(digit, then: two)
        let belowD8 = bytes([0x30...0x37], then: two)
        let low = bytes([0x43...0x46, 0x63...0x66], then: two)
        let lowUnit = literal("\\u", then: bytes([0x44...0x44, 0x64...0x64], then: low))
        let high = bytes(
            [0x38...0x39, 0x41...0x42, 0x61...0x62],
            then: bytes(digit, then: bytes(digit, then: lowUnit)))
        let afterD = add(.split([belowD8, high]))
        let unit = add(
            .bytes(
                [0x30...0x39, 0x41...0x43, 0x45...0x46, 0x61...0x63, 0x65...0x66].map {
                    Edge(low: $0.lowerBound, high: $0.upperBound, target: three)
                } + [0x44, 0x64].map { Edge(low: $0, high: $0, target: afterD) }))
        return add(
            .bytes(
                "\"\\/bfnrt".utf8.map { Edge(low: $0, high: $0, target: next) } + [edge("u", unit)]
            ))
    }

    func edge(_ byte: Unicode.Scalar, _ target: State) -> Edge {
        Edge(low: UInt8(ascii: byte), high: UInt8(ascii: byte), target: target)
    }

    /// Up to so many digits more.
    private mutating func digits(upTo count: Int, then next: State) -> State {
        var state = next
        for _ in 0..<count {
            let digit = bytes([0x30...0x39], then: state)
            state = add(.split([digit, next]))
        }
        return state
    }

    /// An integer of at most `SchemaLimits.digits` digits.
    mutating func integer(then next: State) -> State {
        let more = digits(upTo: SchemaLimits.digits - 1, then: next)
        let magnitude = add(
            .bytes([edge("0", next), Edge(low: 0x31, high: 0x39, target: more)]))
        return add(.split([magnitude, literal("-", then: magnitude)]))
    }

    /// A number that a double holds: an integer, a fraction, an exponent of two digits.
    mutating func number(then next: State) -> State {
        let lastDigit = digits(upTo: 1, then: next)
        let exponentDigits = bytes([0x30...0x39], then: lastDigit)
        let signed = add(
            .split([exponentDigits, bytes([0x2B...0x2B, 0x2D...0x2D], then: exponentDigits)]))
        let exponent = bytes([0x45...0x45, 0x65...0x65], then: signed)
        let end = add(.split([next, exponent]))
        return integer(then: fraction(orNone: end))
    }

    /// A point and digits, or nothing.
    mutating func fraction(orNone next: State) -> State {
        let more = digits(upTo: SchemaLimits.digits - 2, then: next)
        let fraction = literal(".", then: bytes([0x30...0x39], then: more))
        return add(.split([next, fraction]))
    }

    /// Any JSON value; the rules of any object and any array.
    mutating func anyValue(blank: Int) -> (value: Int, object: Int) {
        let value = reserveRule()
        let object = rule { grammar, end in
            let close = grammar.literal("}", then: end)
            let afterMember = grammar.reserve()
            let member = grammar.literal(
                "\"",
                then: grammar.stringRest(
                    then: grammar.afterKey(
                        blank: blank,
                        then: grammar.add(
                            .call(rule: value, next: afterMember, nests: false)))))
            let another = grammar.literal(",", then: grammar.blanks(blank, then: member))
            let either = grammar.add(.split([close, another]))
            grammar.define(afterMember, .split([grammar.blanks(blank, then: either)]))
            let first = grammar.add(.split([close, member]))
            return grammar.literal("{", then: grammar.blanks(blank, then: first))
        }
        let array = rule { grammar, end in
            let close = grammar.literal("]", then: end)
            let afterElement = grammar.reserve()
            let element = grammar.add(.call(rule: value, next: afterElement, nests: false))
            let another = grammar.literal(",", then: grammar.blanks(blank, then: element))
            let either = grammar.add(.split([close, another]))
            grammar.define(afterElement, .split([grammar.blanks(blank, then: either)]))
            let first = grammar.add(.split([close, element]))
            return grammar.literal("[", then: grammar.blanks(blank, then: first))
        }
        let end = add(.end)
        define(
            rule: value,
            add(
                .split([
                    add(.call(rule: object, next: end, nests: true)),
                    add(.call(rule: array, next: end, nests: true)),
                    literal("\"", then: stringRest(then: end)), number(then: end),
                    literal("true", then: end), literal("false", then: end),
                    literal("null", then: end),
                ])))
        return (value, object)
    }

    /// The colon behind a key, and blanks around it.
    mutating func afterKey(blank: Int, then next: State) -> State {
        blanks(blank, then: literal(":", then: blanks(blank, then: next)))
    }
}
