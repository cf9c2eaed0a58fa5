enum SchemaType: String, CaseIterable {
    case null, boolean, integer, number, string, array, object

    func includes(_ value: JSONValue) -> Bool {
        switch (self, value.kind) {
        case (.null, .null), (.boolean, .true), (.boolean, .false), (.string, .string),
            (.array, .array), (.object, .object), (.number, .number):
            true
        case (.integer, .number):
            Double(value.numberText ?? "").map { $0 == $0.rounded() } ?? false
        default: false
        }
    }
}

/// A value within a schema, and where it stands.
struct SchemaPlace {
    let value: JSONValue
    /// A JSON pointer, without the '#'.
    let pointer: String

    func error(_ fault: SchemaError.Fault) -> SchemaError {
        SchemaError(fault: fault, pointer: pointer)
    }

    // MARK: Keywords

    /// What says nothing about validity. `format` is never asserted, whatever it names.
    static let annotations: Set<String> = [
        "$schema", "$id", "$comment", "$anchor", "$defs", "definitions", "title", "description",
        "default", "examples", "example", "deprecated", "readOnly", "writeOnly", "format",
        "contentEncoding", "contentMediaType",
    ]
    static let assertions: Set<String> = [
        "$ref", "type", "enum", "const", "anyOf", "oneOf", "allOf", "properties", "required",
        "additionalProperties", "items", "prefixItems", "minItems", "maxItems", "minLength",
        "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
        "multipleOf", "patternProperties",
    ]

    /// The assertions of a schema by name.
    /// - Throws: `unsupported` for a keyword that is neither an assertion known here nor an annotation.
    func keywords() throws(SchemaError) -> [String: SchemaPlace] {
        var keywords: [String: SchemaPlace] = [:]
        for (name, place) in members() {
            if Self.assertions.contains(name) {
                keywords[name] = place
            } else if !Self.annotations.contains(name), !name.hasPrefix("x-") {
                throw place.error(.unsupported("the keyword '\(name)'"))
            }
        }
        return keywords
    }

    /// Refuses other assertions beside one.
    func expectAlone(
        _ name: String, _ keywords: [String: SchemaPlace], but allowed: Set<String> = []
    ) throws(SchemaError) {
        let others = keywords.keys.filter { $0 != name && !allowed.contains($0) }.sorted()
        guard others.isEmpty else {
            throw error(.unsupported("'\(others.joined(separator: "', '"))' beside '\(name)'"))
        }
    }

    /// The types that a value may have: those named, or those that the other keywords speak of.
    func types(_ keywords: [String: SchemaPlace]) throws(SchemaError) -> [SchemaType] {
        if let named = keywords["type"] {
            let names =
                named.value.string.map { [$0] } ?? named.value.elementValues.map { $0.string ?? "" }
            var types: [SchemaType] = []
            for name in names {
                guard let type = SchemaType(rawValue: name) else {
                    throw named.error(.malformed("'\(name)' is no type"))
                }
                if !types.contains(type) { types.append(type) }
            }
            guard !types.isEmpty else { throw named.error(.malformed("no type")) }
            // Every integer is a number: once is enough.
            return types.contains(.number) ? types.filter { $0 != .integer } : types
        }
        let speaksOf: [(SchemaType, Set<String>)] = [
            (.object, ["properties", "required", "additionalProperties", "patternProperties"]),
            (.array, ["items", "prefixItems", "minItems", "maxItems"]),
            (.string, ["minLength", "maxLength", "pattern"]),
            (
                .number,
                ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]
            ),
        ]
        let types = speaksOf.filter { !$0.1.isDisjoint(with: keywords.keys) }.map(\.0)
        return types.isEmpty ? [.null, .boolean, .number, .string, .array, .object] : types
    }

    // MARK: Values

    func members() -> [(name: String, place: SchemaPlace)] {
        var members: [(name: String, place: SchemaPlace)] = []
        for index in value.keys {
            let name = JSONValue(document: value.document, index: index).string ?? ""
            members.append(
                (
                    name,
                    SchemaPlace(
                        value: JSONValue(document: value.document, index: index + 1),
                        pointer: pointer + "/" + Self.escape(name))
                ))
        }
        return members
    }

    func elements() throws(SchemaError) -> [SchemaPlace] {
        guard value.kind == .array else {
            throw error(.malformed("\(value.typeName) where an array belongs"))
        }
        return value.elementValues.enumerated().map {
            SchemaPlace(value: $0.element, pointer: "\(pointer)/\($0.offset)")
        }
    }

    /// A count such as `minItems`.
    func count() throws(SchemaError) -> Int {
        guard let text = value.numberText, let number = Double(text), number >= 0,
            number == number.rounded()
        else { throw error(.malformed("a count is a whole number that is not negative")) }
        guard number <= Double(SchemaLimits.count) else {
            throw error(.limit("more than \(SchemaLimits.count)"))
        }
        return Int(number)
    }

    // MARK: Pointers

    private static func escape(_ name: String) -> String {
        String(
            decoding: name.utf8.flatMap { byte -> [UInt8] in
                switch byte {
                case UInt8(ascii: "~"): Array("~0".utf8)
                case UInt8(ascii: "/"): Array("~1".utf8)
                default: [byte]
                }
            }, as: UTF8.self)
    }

    /// The place that a reference such as "#/$defs/name" names.
    func target(of reference: String) throws(SchemaError) -> SchemaPlace {
        var target = SchemaPlace(value: value.document.root, pointer: "")
        let path = Self.unescaped(reference.dropFirst())
        guard path.isEmpty || path.hasPrefix("/") else {
            throw error(.unsupported("a reference by anchor"))
        }
        for part in path.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            let name = part.split(separator: "~1", omittingEmptySubsequences: false)
                .map {
                    $0.split(separator: "~0", omittingEmptySubsequences: false).joined(
                        separator: "~")
                }
                .joined(separator: "/")
            var next = target.members().last { $0.name == name }?.place
            if let index = Int(name), target.value.kind == .array {
                let elements = try target.elements()
                if elements.indices.contains(index) { next = elements[index] }
            }
            guard let next else {
                throw error(.malformed("the reference '\(reference)' leads nowhere"))
            }
            target = next
        }
        return target
    }

    /// Percent signs of a URI fragment.
    private static func unescaped(_ text: some StringProtocol) -> String {
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let code = String(decoding: rest.prefix(2), as: UTF8.self)
            if byte == UInt8(ascii: "%"), code.utf8.count == 2, let value = UInt8(code, radix: 16) {
                result.append(value)
                rest = rest.dropFirst(2)
            } else {
                result.append(byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}

extension JSONValue {
    var elementValues: [JSONValue] { elements.map { JSONValue(document: document, index: $0) } }
}
