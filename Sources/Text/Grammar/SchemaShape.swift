/// As much of a schema as tells that no value satisfies it together with another one.
struct SchemaShape {
    private var types: Set<SchemaType> = []
    /// The values of `enum` and `const`, as JSON; nil if any value of the types will do.
    private var values: Set<[UInt8]>?
    /// Of objects: what must be there, what may be there (nil: anything), and its shape.
    private var required: Set<String> = []
    private var declared: Set<String>?
    private var properties: [String: SchemaPlace] = [:]

    /// - Parameter following: the references that led here.
    init(
        _ place: SchemaPlace, following: [String]
    ) throws(SchemaError) {
        guard place.value.kind == .object else {
            types = place.value.kind == .false ? [] : Set(SchemaType.allCases)
            return
        }
        let keywords = try place.keywords()
        if let name = keywords["$ref"]?.value.string, !following.contains(name) {
            let target = try place.target(of: name)
            self = try SchemaShape(target, following: following + [name])
            return
        }
        if let values = keywords["enum"] ?? keywords["const"] {
            let all = keywords["enum"] == nil ? [values] : try values.elements()
            self.values = Set(all.map { JSONText.bytes(of: $0.value) })
            types = Set(
                SchemaType.allCases.filter { type in all.contains { type.includes($0.value) } })
            return
        }
        for name in ["anyOf", "oneOf", "allOf"] where keywords[name] != nil {
            for part in try keywords[name]?.elements() ?? [] {
                types.formUnion(
                    try SchemaShape(part, following: following).types)
            }
            return
        }
        types = Set(try place.types(keywords))
        required = Set(try keywords["required"]?.elements().compactMap(\.value.string) ?? [])
        for (name, schema) in keywords["properties"]?.members() ?? [] { properties[name] = schema }
        if keywords["additionalProperties"]?.value.kind == .false {
            declared = Set(properties.keys)
        }
    }

    func isDisjoint(from other: SchemaShape) throws(SchemaError) -> Bool {
        var common = types.intersection(other.types)
        if types.contains(.number), other.types.contains(.integer) { common.insert(.integer) }
        if types.contains(.integer), other.types.contains(.number) { common.insert(.integer) }
        if common.isEmpty { return true }
        if let values, let others = other.values, !common.contains(.object),
            !common.contains(.array),
            !common.contains(.number), !common.contains(.integer)
        {
            return values.isDisjoint(with: others)
        }
        guard common == [.object], values == nil, other.values == nil else { return false }
        if let declared = other.declared, !required.isSubset(of: declared) { return true }
        if let declared, !other.required.isSubset(of: declared) { return true }
        // A property that both demand, with values that differ: a discriminator.
        for name in required.intersection(other.required) {
            guard let mine = properties[name], let others = other.properties[name] else { continue }
            let shape = try SchemaShape(mine, following: [])
            let otherShape = try SchemaShape(others, following: [])
            if shape.values != nil, otherShape.values != nil,
                try shape.isDisjoint(from: otherShape)
            {
                return true
            }
        }
        return false
    }
}
