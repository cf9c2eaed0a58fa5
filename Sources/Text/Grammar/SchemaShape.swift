/// As much of a schema as tells that no value satisfies it together with another one: its alternatives, each of one type.
struct SchemaShape {
    private var parts: [Part] = []

    /// Values of one type.
    fileprivate struct Part {
        let type: SchemaType
        /// Those of `enum` and `const`; nil: any that the rest allows.
        var values: [JSONValue]?
        var range: ClosedRange<Double> = -Double.infinity...Double.infinity
        var excludesLow = false
        var excludesHigh = false
        /// Of a string's characters, or an array's elements.
        var counts: ClosedRange<Int> = 0...Int.max
        var pattern: String?
        /// Schemas of an array's first elements, and of the others.
        var first: [SchemaPlace] = []
        var items: SchemaPlace?
        /// Of objects: what must be there, what may be there (nil: anything), and its schemas.
        var required: Set<String> = []
        var declared: Set<String>?
        var properties: [String: SchemaPlace] = [:]
    }

    /// Levels of values within values that are looked at.
    private static let mostLevels = 6

    /// - Parameter following: the references that led here.
    init(
        _ place: SchemaPlace, following: [String] = []
    ) throws(SchemaError) {
        guard place.value.kind == .object else {
            parts = place.value.kind == .false ? [] : SchemaType.allCases.map { Part(type: $0) }
            return
        }
        let keywords = try place.keywords()
        if let name = keywords["$ref"]?.value.string {
            guard !following.contains(name) else {
                parts = SchemaType.allCases.map { Part(type: $0) }
                return
            }
            self = try SchemaShape(try place.target(of: name), following: following + [name])
            return
        }
        if let values = keywords["enum"] ?? keywords["const"] {
            let all = keywords["enum"] == nil ? [values] : try values.elements()
            for type in SchemaType.allCases where type != .integer {
                let own = all.map(\.value).filter { type.includes($0) }
                if !own.isEmpty { parts.append(Part(type: type, values: own)) }
            }
            return
        }
        for name in ["anyOf", "oneOf", "allOf"] where keywords[name] != nil {
            for part in try keywords[name]?.elements() ?? [] {
                parts += try SchemaShape(part, following: following).parts
            }
            return
        }
        for type in try place.types(keywords) { parts.append(try Self.part(type, keywords)) }
    }

    private static func part(
        _ type: SchemaType, _ keywords: [String: SchemaPlace]
    ) throws(SchemaError) -> Part {
        var part = Part(type: type)
        func count(_ name: String) throws(SchemaError) -> Int? {
            guard let place = keywords[name] else { return nil }
            return try place.count()
        }
        switch type {
        case .null, .boolean: break
        case .integer, .number: part.bound(by: keywords)
        case .string:
            part.count(from: try count("minLength"), to: try count("maxLength"))
            part.pattern = keywords["pattern"]?.value.string
        case .array:
            part.count(from: try count("minItems"), to: try count("maxItems"))
            part.first = try keywords["prefixItems"]?.elements() ?? []
            part.items = keywords["items"]
        case .object:
            part.required = Set(
                try keywords["required"]?.elements().compactMap(\.value.string) ?? [])
            for (name, schema) in keywords["properties"]?.members() ?? [] {
                part.properties[name] = schema
            }
            if keywords["additionalProperties"]?.value.kind == .false,
                keywords["patternProperties"] == nil
            {
                part.declared = Set(part.properties.keys)
            }
        }
        return part
    }

    /// Whether no value satisfies both, as far as that can be told.
    /// - Parameter effort: what may still be looked at.
    func isDisjoint(
        from other: SchemaShape, level: Int = 0, effort: inout Int
    ) throws(SchemaError) -> Bool {
        guard level < Self.mostLevels else { return false }
        for part in parts {
            for other in other.parts {
                effort -= 10
                guard effort > 0, try Self.isDisjoint(part, other, level, &effort) else {
                    return false
                }
            }
        }
        return true
    }

    private static func isDisjoint(
        _ a: Part, _ b: Part, _ level: Int, _ effort: inout Int
    ) throws(SchemaError) -> Bool {
        let isNumber = [a, b].allSatisfy { $0.type == .number || $0.type == .integer }
        guard isNumber || a.type == b.type else { return true }
        if let values = a.values {
            return !values.contains { b.mayHold($0, &effort) }
        }
        if let values = b.values {
            return !values.contains { a.mayHold($0, &effort) }
        }
        switch a.type {
        case .null, .boolean: return false
        case .integer, .number: return a.isBeyond(b) || b.isBeyond(a)
        case .string:
            return !a.counts.overlaps(b.counts)
                || arePatternsDisjoint(a.pattern, b.pattern, &effort)
        case .array: return try areArraysDisjoint(a, b, level, &effort)
        case .object: return try areObjectsDisjoint(a, b, level, &effort)
        }
    }

    /// A pattern that cannot be read is refused where it is compiled.
    private static func arePatternsDisjoint(
        _ a: String?, _ b: String?, _ effort: inout Int
    ) -> Bool {
        guard let a, let b, let mine = try? PatternAutomaton(reading: a, .widest),
            let its = try? PatternAutomaton(reading: b, .widest)
        else { return false }
        return mine.isDisjoint(from: its, effort: &effort)
    }

    private static func areDisjoint(
        _ mine: SchemaPlace, _ its: SchemaPlace, _ level: Int, _ effort: inout Int
    ) throws(SchemaError) -> Bool {
        guard effort > 0 else { return false }
        let shapes = (try SchemaShape(mine), try SchemaShape(its))
        effort -= shapes.0.effort + shapes.1.effort
        return try shapes.0.isDisjoint(from: shapes.1, level: level, effort: &effort)
    }

    /// What making it took.
    private var effort: Int {
        parts.reduce(200) { $0 + 50 * (1 + $1.properties.count + ($1.values?.count ?? 0)) }
    }

    private static func areArraysDisjoint(
        _ a: Part, _ b: Part, _ level: Int, _ effort: inout Int
    ) throws(SchemaError) -> Bool {
        if !a.counts.overlaps(b.counts) { return true }
        // Elements that every array of both has.
        let common = max(a.counts.lowerBound, b.counts.lowerBound)
        for index in 0..<min(common, max(a.first.count, b.first.count) + 1) {
            guard let mine = a.element(index), let its = b.element(index) else { continue }
            if try areDisjoint(mine, its, level + 1, &effort) {
                return true
            }
        }
        return false
    }

    private static func areObjectsDisjoint(
        _ a: Part, _ b: Part, _ level: Int, _ effort: inout Int
    ) throws(SchemaError) -> Bool {
        if let declared = b.declared, !a.required.isSubset(of: declared) { return true }
        if let declared = a.declared, !b.required.isSubset(of: declared) { return true }
        // A property that one demands, with values that the other does not allow: a discriminator.
        for name in a.required.union(b.required).sorted() {
            guard let mine = a.properties[name], let its = b.properties[name] else { continue }
            if try areDisjoint(mine, its, level + 1, &effort) {
                return true
            }
        }
        return false
    }
}

extension SchemaShape.Part {
    fileprivate mutating func bound(by keywords: [String: SchemaPlace]) {
        func number(_ name: String) -> Double? {
            keywords[name]?.value.numberText.flatMap { Double($0) }
        }
        let lows = (number("minimum"), number("exclusiveMinimum"))
        let highs = (number("maximum"), number("exclusiveMaximum"))
        let low = max(lows.0 ?? -.infinity, lows.1 ?? -.infinity)
        let high = min(highs.0 ?? .infinity, highs.1 ?? .infinity)
        // Nothing is left: refused where it is compiled.
        guard low <= high else { return }
        (range, excludesLow, excludesHigh) = (low...high, lows.1 == low, highs.1 == high)
    }

    fileprivate mutating func count(from low: Int?, to high: Int?) {
        if low ?? 0 <= high ?? .max { counts = (low ?? 0)...(high ?? .max) }
    }

    /// Whether all numbers are above those of another.
    fileprivate func isBeyond(_ other: Self) -> Bool {
        range.lowerBound > other.range.upperBound
            || range.lowerBound == other.range.upperBound && (excludesLow || other.excludesHigh)
    }

    fileprivate func element(_ index: Int) -> SchemaPlace? {
        index < first.count ? first[index] : items
    }

    /// Whether a value may be one of these: `true` where that is not told.
    fileprivate func mayHold(_ value: JSONValue, _ effort: inout Int) -> Bool {
        effort -= 1 + (values?.count ?? 0)
        guard effort > 0 else { return true }
        guard type.includes(value) else { return false }
        if let values { return values.contains { Self.mayBeEqual($0, value) } }
        switch type {
        case .integer, .number:
            guard let number = value.numberText.flatMap({ Double($0) }) else { return true }
            return range.contains(number) && !(excludesLow && number == range.lowerBound)
                && !(excludesHigh && number == range.upperBound)
        case .string:
            let text = value.string ?? ""
            guard counts.contains(text.unicodeScalars.count) else { return false }
            guard let pattern, let known = try? PatternAutomaton(reading: pattern, .widest) else {
                return true
            }
            effort -= known.effort(of: text)
            return effort < 0 || known.matches(text)
        case .null, .boolean, .array, .object: return true
        }
    }

    private static func mayBeEqual(_ a: JSONValue, _ b: JSONValue) -> Bool {
        switch (a.kind, b.kind) {
        case (.number, .number):
            return Double(a.numberText ?? "") == Double(b.numberText ?? "")
        case (.string, .string): return (a.string ?? "").utf8.elementsEqual((b.string ?? "").utf8)
        case (.array, .array), (.object, .object): return true
        default: return a.kind == b.kind
        }
    }
}
