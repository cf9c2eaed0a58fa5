/// Compiles a JSON schema (draft 2020-12, a subset) to a grammar whose every text satisfies it.
///
/// The grammar may be narrower than the schema: declared properties come in the schema's order, numbers
/// have at most 18 digits, keys that are not declared have no escapes, and a schema without `type` that
/// speaks of properties (items, lengths, bounds) is one of objects (arrays, strings, numbers).
struct SchemaCompiler {
    typealias State = Grammar.State

    var grammar = Grammar()
    let blank: Int
    let any: (value: Int, object: Int)
    /// Rules of schemas that `$ref` named, by their pointer.
    private var references: [String: Int] = [:]
    /// States and pairs of states of patterns and types that may still be looked at to say what excludes what.
    var effort = 2_000_000

    init() {
        blank = grammar.blankRule()
        any = grammar.anyValue(blank: blank)
    }

    /// The grammar of any JSON object (`json_object`).
    static func anyObject() -> Grammar {
        var compiler = SchemaCompiler()
        let root = compiler.grammar.rule { grammar, end in
            grammar.add(.call(rule: compiler.any.object, next: end, nests: true))
        }
        _ = compiler.grammar.finish(root: root)
        return compiler.grammar
    }

    /// - Parameter frame: texts that stand around the value.
    static func compile(
        _ schema: JSONValue, within frame: (open: String, close: String) = ("", "")
    ) throws(SchemaError) -> Grammar {
        var compiler = SchemaCompiler()
        let end = compiler.grammar.literal(frame.close, then: compiler.grammar.add(.end))
        let value = try compiler.compile(
            SchemaPlace(value: schema, pointer: ""), following: [], then: end)
        let start = compiler.grammar.literal(frame.open, then: value)
        let rule = compiler.grammar.reserveRule()
        compiler.grammar.define(rule: rule, start)
        guard compiler.grammar.finish(root: rule),
            compiler.grammar.height(ofRule: rule) <= SchemaLimits.nesting
        else {
            throw SchemaError(
                fault: .unsatisfiable("no value of a finite depth satisfies it"), pointer: "")
        }
        return compiler.grammar
    }

    // MARK: Schemas

    /// - Parameter following: the references that led here without a byte of JSON between them.
    mutating func compile(
        _ place: SchemaPlace, following: [String], then next: State
    ) throws(SchemaError) -> State {
        guard grammar.nodes.count < SchemaLimits.states else {
            throw place.error(.limit("more than \(SchemaLimits.states) states"))
        }
        switch place.value.kind {
        case .true: return grammar.add(.call(rule: any.value, next: next, nests: false))
        case .false: return grammar.add(.split([]))
        case .object: break
        default: throw place.error(.malformed("\(place.value.typeName) is no schema"))
        }
        let keywords = try place.keywords()
        if let reference = keywords["$ref"] {
            try place.expectAlone("$ref", keywords)
            return try compile(reference: reference, following: following, then: next)
        }
        if let values = keywords["enum"] ?? keywords["const"].map({ $0 }) {
            return try compile(values: values, keywords, place, then: next)
        }
        for name in ["anyOf", "oneOf", "allOf"] {
            guard let parts = keywords[name] else { continue }
            try place.expectAlone(name, keywords)
            let schemas = try parts.elements()
            guard !schemas.isEmpty else { throw parts.error(.malformed("an empty '\(name)'")) }
            if name == "allOf", schemas.count > 1 {
                throw parts.error(.unsupported("'allOf' of more than one schema"))
            }
            if name == "oneOf" { try checkDisjoint(schemas) }
            var branches: [State] = []
            for schema in schemas {
                branches.append(try compile(schema, following: following, then: next))
            }
            return grammar.add(.split(branches))
        }
        var branches: [State] = []
        for type in try place.types(keywords) {
            branches.append(try compile(type, keywords, place, then: next))
        }
        return branches.count == 1 ? branches[0] : grammar.add(.split(branches))
    }

    private mutating func compile(
        _ type: SchemaType, _ keywords: [String: SchemaPlace], _ place: SchemaPlace,
        then next: State
    ) throws(SchemaError) -> State {
        switch type {
        case .null: return grammar.literal("null", then: next)
        case .boolean:
            return grammar.anyOf([Array("false".utf8), Array("true".utf8)], then: next)
        case .string: return try compileString(keywords, place, then: next)
        case .integer, .number:
            return try compileNumber(keywords, place, isWhole: type == .integer, then: next)
        case .object:
            return try nested(next) { (compiler, end) throws(SchemaError) in
                try compiler.compileObject(keywords, place, then: end)
            }
        case .array:
            return try nested(next) { (compiler, end) throws(SchemaError) in
                try compiler.compileArray(keywords, place, then: end)
            }
        }
    }

    /// A rule that counts as a level.
    private mutating func nested(
        _ next: State, _ body: (inout SchemaCompiler, State) throws(SchemaError) -> State
    ) throws(SchemaError) -> State {
        let rule = grammar.reserveRule()
        let start = try body(&self, grammar.add(.end))
        grammar.define(rule: rule, start)
        return grammar.add(.call(rule: rule, next: next, nests: true))
    }

    private mutating func compile(
        reference: SchemaPlace, following: [String], then next: State
    ) throws(SchemaError) -> State {
        guard let name = reference.value.string, name.hasPrefix("#") else {
            throw reference.error(.unsupported("a reference to another document"))
        }
        guard !following.contains(name) else {
            throw reference.error(.unsatisfiable("the reference '\(name)' leads to itself"))
        }
        if let rule = references[name] {
            return grammar.add(.call(rule: rule, next: next, nests: false))
        }
        let target = try reference.target(of: name)
        let rule = grammar.reserveRule()
        references[name] = rule
        let end = grammar.add(.end)
        let start = try compile(target, following: following + [name], then: end)
        grammar.define(rule: rule, start)
        return grammar.add(.call(rule: rule, next: next, nests: false))
    }

    private mutating func compile(
        values: SchemaPlace, _ keywords: [String: SchemaPlace], _ place: SchemaPlace,
        then next: State
    ) throws(SchemaError) -> State {
        let isConstant = keywords["enum"] == nil
        try place.expectAlone(isConstant ? "const" : "enum", keywords, but: ["type"])
        let candidates = isConstant ? [values] : try values.elements()
        guard candidates.count <= SchemaLimits.enumValues else {
            throw values.error(.limit("more than \(SchemaLimits.enumValues) values"))
        }
        let types = keywords["type"] == nil ? nil : try place.types(keywords)
        let kept = candidates.filter { candidate in
            types?.contains { $0.includes(candidate.value) } ?? true
        }
        guard !kept.isEmpty else {
            throw values.error(.unsatisfiable("no value is of the type asked for"))
        }
        let texts = kept.map { JSONText.bytes(of: $0.value) }
        guard texts.reduce(0, { $0 + $1.count }) < SchemaLimits.states else {
            throw values.error(.limit("the values are longer than \(SchemaLimits.states) bytes"))
        }
        return grammar.anyOf(texts, then: next)
    }
}
