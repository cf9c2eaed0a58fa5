/// Objects, and alternatives of which only one may hold.
extension SchemaCompiler {
    private struct Property {
        let name: String
        let isRequired: Bool
        /// nil: any value.
        let schema: SchemaPlace?
    }

    private func properties(
        _ keywords: [String: SchemaPlace], _ place: SchemaPlace
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
                properties.append(
                    Property(name: name, isRequired: required.contains(name), schema: schema))
            }
        }
        let additional = keywords["additionalProperties"]
        for name in required where !properties.contains(where: { $0.name == name }) {
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
        let properties = try properties(keywords, place)
        let close = grammar.literal("}", then: next)
        // States behind the declared properties, without and with a property before them.
        var alone = close
        var behind = grammar.blanks(blank, then: close)
        if keywords["additionalProperties"]?.value.kind != .false {
            let afterValue = grammar.reserve()
            let value = try compileValue(keywords["additionalProperties"], then: afterValue)
            let key = undeclaredKey(
                properties.map(\.name), then: grammar.afterKey(blank: blank, then: value))
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
    func checkDisjoint(_ schemas: [SchemaPlace]) throws(SchemaError) {
        var shapes: [SchemaShape] = []
        for schema in schemas { shapes.append(try SchemaShape(schema, following: [])) }
        for (index, shape) in shapes.enumerated() {
            for other in shapes.indices[(index + 1)...]
            where try !shape.isDisjoint(from: shapes[other]) {
                throw schemas[other].error(
                    .unsupported(
                        "a value may satisfy alternatives \(index) and \(other) of 'oneOf'; use 'anyOf'"
                    ))
            }
        }
    }
}
