/// Objects, and alternatives of which only one may hold.
extension SchemaCompiler {
    private struct Property {
        let name: String
        let isRequired: Bool
        /// nil: any value.
        let schema: SchemaPlace?
    }

    /// Names that match it are those of properties.
    private struct NamePattern {
        let text: String
        let schema: SchemaPlace
        /// By every reading, and by any.
        let narrow: PatternAutomaton
        let wide: PatternAutomaton
    }

    /// - Throws: where a name may match several patterns: its value would have to satisfy several schemas.
    private mutating func namePatterns(
        _ keyword: SchemaPlace?
    ) throws(SchemaError) -> [NamePattern] {
        guard let keyword else { return [] }
        guard keyword.value.kind == .object else {
            throw keyword.error(.malformed("'patternProperties' is an object"))
        }
        var patterns: [NamePattern] = []
        for (text, schema) in keyword.members() {
            patterns.removeAll { $0.text == text }
            do throws(SchemaFault) {
                let made = NamePattern(
                    text: text, schema: schema, narrow: try PatternAutomaton(reading: text),
                    wide: try PatternAutomaton(reading: text, .widest))
                for other in patterns
                where !made.wide.isDisjoint(from: other.wide, effort: &effort) {
                    throw .unsupported("a name may match '\(text)' as well as '\(other.text)'")
                }
                patterns.append(made)
            } catch {
                throw schema.error(error)
            }
        }
        return patterns
    }

    /// What the pattern that a name matches says of the property; nil where it matches none.
    private mutating func schema(
        of name: String, _ patterns: [NamePattern], isDeclared: Bool
    ) throws(SchemaError) -> SchemaPlace? {
        for pattern in patterns {
            effort -= 2 * pattern.wide.effort(of: name)
            guard effort > 0 else {
                throw pattern.schema.error(.limit("names and patterns take too long to compare"))
            }
        }
        guard let pattern = patterns.first(where: { $0.wide.matches(name) }) else { return nil }
        guard !isDeclared, pattern.narrow.matches(name) else {
            throw pattern.schema.error(
                .unsupported(
                    isDeclared
                        ? "the property '\(name)' matches the pattern '\(pattern.text)' too"
                        : "whether '\(name)' matches '\(pattern.text)' is read differently"))
        }
        return pattern.schema
    }

    private mutating func properties(
        _ keywords: [String: SchemaPlace], _ patterns: [NamePattern], _ place: SchemaPlace
    ) throws(SchemaError) -> [Property] {
        var required: [String] = []
        for name in try keywords["required"]?.elements() ?? [] {
            guard let text = name.value.string else {
                throw name.error(.malformed("a required property is a string"))
            }
            if !required.contains(text) { required.append(text) }
        }
        var properties: [Property] = []
        if let declared = keywords["properties"] {
            guard declared.value.kind == .object else {
                throw declared.error(.malformed("'properties' is an object"))
            }
            for (name, schema) in declared.members() {
                // The last of repeated keys counts, as everywhere.
                properties.removeAll { $0.name == name }
                _ = try self.schema(of: name, patterns, isDeclared: true)
                properties.append(
                    Property(name: name, isRequired: required.contains(name), schema: schema))
            }
        }
        let additional = keywords["additionalProperties"]
        for name in required where !properties.contains(where: { $0.name == name }) {
            if let schema = try schema(of: name, patterns, isDeclared: false) {
                properties.append(Property(name: name, isRequired: true, schema: schema))
                continue
            }
            if let additional, additional.value.kind == .false {
                throw place.error(
                    .unsatisfiable("'\(name)' is required, but is not among the properties"))
            }
            properties.append(Property(name: name, isRequired: true, schema: additional))
        }
        return properties
    }

    mutating func compileObject(
        _ keywords: [String: SchemaPlace], _ place: SchemaPlace, then next: State
    ) throws(SchemaError) -> State {
        let patterns = try namePatterns(keywords["patternProperties"])
        let properties = try properties(keywords, patterns, place)
        let close = grammar.literal("}", then: next)
        // States behind the declared properties, without and with a property before them.
        var alone = close
        var behind = grammar.blanks(blank, then: close)
        let afterValue = grammar.reserve()
        let keys = try undeclaredKeys(
            keywords["additionalProperties"], patterns, properties.map(\.name), place,
            then: afterValue)
        if !keys.isEmpty {
            let key = keys.count == 1 ? keys[0] : grammar.add(.split(keys))
            let another = comma(then: key)
            let end = behind
            grammar.define(afterValue, .split([end, another]))
            alone = grammar.add(.split([close, key]))
            behind = grammar.add(.split([end, another]))
        }
        for property in properties.reversed() {
            let value = try compileValue(property.schema, then: behind)
            let member = grammar.literal(
                JSONText.quoted(property.name), then: grammar.afterKey(blank: blank, then: value))
            let another = comma(then: member)
            if property.isRequired {
                (alone, behind) = (member, another)
            } else {
                alone = grammar.add(.split([member, alone]))
                behind = grammar.add(.split([another, behind]))
            }
        }
        return grammar.literal("{", then: grammar.blanks(blank, then: alone))
    }

    private mutating func comma(then next: State) -> State {
        grammar.blanks(blank, then: grammar.literal(",", then: grammar.blanks(blank, then: next)))
    }

    private mutating func compileValue(
        _ schema: SchemaPlace?, then next: State
    ) throws(SchemaError) -> State {
        guard let schema else {
            return grammar.add(.call(rule: any.value, next: next, nests: false))
        }
        return try compile(schema, following: [], then: next)
    }

    /// Keys that are none of `names`, each with its value: those of each pattern, and all others where there may be any.
    private mutating func undeclaredKeys(
        _ additional: SchemaPlace?, _ patterns: [NamePattern], _ names: [String],
        _ place: SchemaPlace, then next: State
    ) throws(SchemaError) -> [State] {
        var keys: [State] = []
        for pattern in patterns {
            let value = try compileValue(pattern.schema, then: next)
            do throws(SchemaFault) {
                let rest = try pattern.narrow.compile(
                    into: &grammar, minimum: 0, maximum: nil,
                    then: grammar.afterKey(blank: blank, then: value))
                keys.append(grammar.literal("\"", then: rest))
            } catch {
                throw pattern.schema.error(error)
            }
        }
        guard additional?.value.kind != .false else { return keys }
        let value = grammar.afterKey(
            blank: blank, then: try compileValue(additional, then: next))
        guard !patterns.isEmpty else { return [undeclaredKey(names, then: value)] }
        do throws(SchemaFault) {
            let rest = try KeyAutomaton(avoiding: patterns.map(\.wide), names).compile(
                into: &grammar, effort: &effort, then: value)
            keys.append(grammar.literal("\"", then: rest))
        } catch {
            throw place.error(error)
        }
        return keys
    }

    /// A key, with its quotes, that is none of `names`. It has no escapes, where there are names:
    /// `"\u0061"` would be `"a"`.
    private mutating func undeclaredKey(_ names: [String], then next: State) -> State {
        if names.isEmpty { return grammar.literal("\"", then: grammar.stringRest(then: next)) }
        let free = grammar.reserve()
        let edges = grammar.plainCharacter(then: free)
        grammar.define(free, .bytes(edges + [grammar.edge("\"", next)]))
        let sorted = names.map { Array($0.unicodeScalars) }
        return grammar.literal(
            "\"", then: keyRest(sorted, from: 0, free: free, then: next))
    }

    /// What may follow the first `depth` characters that all `names` begin with.
    private mutating func keyRest(
        _ names: [[Unicode.Scalar]], from depth: Int, free: State, then next: State
    ) -> State {
        var groups: [Unicode.Scalar: [[Unicode.Scalar]]] = [:]
        for name in names where name.count > depth { groups[name[depth], default: []].append(name) }
        var branches: [State] = []
        for (scalar, group) in groups.sorted(by: { $0.key < $1.key }) {
            let rest = keyRest(group, from: depth + 1, free: free, then: next)
            branches.append(plainCharacter(.init([scalar.value...scalar.value]), then: rest))
        }
        let taken = Pattern.CharacterSet(groups.keys.map { $0.value...$0.value })
        branches.append(plainCharacter(taken.complement(), then: free))
        if !names.contains(where: { $0.count == depth }) {
            branches.append(grammar.literal("\"", then: next))
        }
        return grammar.add(.split(branches))
    }

    private mutating func plainCharacter(
        _ set: Pattern.CharacterSet, then next: State
    ) -> State {
        let escaped = Pattern.CharacterSet([0...0x1F, 0x22...0x22, 0x5C...0x5C])
        return grammar.character(of: escaped.complement(in: set), then: next)
    }

    // MARK: oneOf

    /// Refuses alternatives that one value might satisfy together.
    mutating func checkDisjoint(_ schemas: [SchemaPlace]) throws(SchemaError) {
        var shapes: [SchemaShape] = []
        for schema in schemas { shapes.append(try SchemaShape(schema)) }
        for (index, shape) in shapes.enumerated() {
            for other in shapes.indices[(index + 1)...]
            where try !shape.isDisjoint(from: shapes[other], effort: &effort) {
                throw schemas[other].error(
                    .unsupported(
                        "a value may satisfy alternatives \(index) and \(other) of 'oneOf'; use 'anyOf'"
                    ))
            }
        }
    }
}
