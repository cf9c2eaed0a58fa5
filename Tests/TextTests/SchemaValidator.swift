import Foundation

@testable import Text

/// Says whether a JSON value satisfies a schema: the definition that generated texts are held against.
/// Straight from the specification (draft 2020-12), for the keywords that the compiler knows; checked
/// against Python's jsonschema.
struct SchemaValidator {
    let root: JSONValue

    func isValid(_ value: JSONValue, _ schema: JSONValue) -> Bool {
        if schema.kind == .true { return true }
        guard schema.kind == .object else { return false }
        if let reference = schema["$ref"]?.string, !isValid(value, target(reference)) {
            return false
        }
        if let type = schema["type"] {
            let names = type.string.map { [$0] } ?? type.elementValues.compactMap(\.string)
            if !names.contains(where: { isOf($0, value) }) { return false }
        }
        if let values = schema["enum"],
            !values.elementValues.contains(where: { isEqual($0, value) })
        {
            return false
        }
        if let constant = schema["const"], !isEqual(constant, value) { return false }
        if let parts = schema["anyOf"], !parts.elementValues.contains(where: { isValid(value, $0) })
        {
            return false
        }
        if let parts = schema["oneOf"],
            parts.elementValues.filter({ isValid(value, $0) }).count != 1
        {
            return false
        }
        if let parts = schema["allOf"], !parts.elementValues.allSatisfy({ isValid(value, $0) }) {
            return false
        }
        switch value.kind {
        case .string: return isValid(string: value, schema)
        case .number: return isValid(number: value, schema)
        case .array: return isValid(array: value, schema)
        case .object: return isValid(object: value, schema)
        default: return true
        }
    }

    private func isValid(string value: JSONValue, _ schema: JSONValue) -> Bool {
        let text = value.string ?? ""
        let count = text.unicodeScalars.count
        if let minimum = schema["minLength"]?.int, count < minimum { return false }
        if let maximum = schema["maxLength"]?.int, count > maximum { return false }
        guard let pattern = schema["pattern"]?.string else { return true }
        return matches(text, pattern)
    }

    private func matches(_ text: String, _ pattern: String) -> Bool {
        guard let expression = try? NSRegularExpression(pattern: pattern) else { return false }
        return expression.firstMatch(in: text, range: NSRange(text.startIndex..., in: text)) != nil
    }

    private func isValid(number value: JSONValue, _ schema: JSONValue) -> Bool {
        let number = self.number(value)
        func bound(_ name: String) -> Double? { schema[name].map { self.number($0) } }
        if let minimum = bound("minimum"), number < minimum { return false }
        if let maximum = bound("maximum"), number > maximum { return false }
        if let minimum = bound("exclusiveMinimum"), number <= minimum { return false }
        if let maximum = bound("exclusiveMaximum"), number >= maximum { return false }
        guard let step = schema["multipleOf"]?.numberText.flatMap({ Decimal(string: $0) }),
            let decimal = value.numberText.flatMap({ Decimal(string: $0) })
        else { return true }
        var (quotient, whole) = (decimal / step, Decimal())
        NSDecimalRound(&whole, &quotient, 0, .plain)
        return whole == quotient
    }

    private func isValid(array value: JSONValue, _ schema: JSONValue) -> Bool {
        let elements = value.elementValues
        if let minimum = schema["minItems"]?.int, elements.count < minimum { return false }
        if let maximum = schema["maxItems"]?.int, elements.count > maximum { return false }
        let first = schema["prefixItems"]?.elementValues ?? []
        for (element, schema) in zip(elements, first) where !isValid(element, schema) {
            return false
        }
        guard let items = schema["items"] else { return true }
        return elements.dropFirst(first.count).allSatisfy { isValid($0, items) }
    }

    private func isValid(object value: JSONValue, _ schema: JSONValue) -> Bool {
        let members = members(value)
        let required = schema["required"]?.elementValues.compactMap(\.string) ?? []
        if !required.allSatisfy({ name in members.contains { same($0.name, name) } }) {
            return false
        }
        let properties = schema["properties"].map { self.members($0) } ?? []
        let patterns = schema["patternProperties"].map { self.members($0) } ?? []
        for (name, value) in members {
            let matching = patterns.filter { matches(name, $0.name) }
            if !matching.allSatisfy({ isValid(value, $0.value) }) { return false }
            if let property = properties.last(where: { same($0.name, name) }) {
                if !isValid(value, property.value) { return false }
            } else if matching.isEmpty, let additional = schema["additionalProperties"],
                !isValid(value, additional)
            {
                return false
            }
        }
        return true
    }

    private func same(_ left: String, _ right: String) -> Bool {
        left.utf8.elementsEqual(right.utf8)
    }

    private func members(_ value: JSONValue) -> [(name: String, value: JSONValue)] {
        value.keys.map {
            (
                JSONValue(document: value.document, index: $0).string ?? "",
                JSONValue(document: value.document, index: $0 + 1)
            )
        }
    }

    private func number(_ value: JSONValue) -> Double { Double(value.numberText ?? "") ?? .nan }

    private func isOf(_ type: String, _ value: JSONValue) -> Bool {
        switch (type, value.kind) {
        case ("null", .null), ("boolean", .true), ("boolean", .false), ("string", .string),
            ("array", .array), ("object", .object), ("number", .number):
            true
        case ("integer", .number): number(value) == number(value).rounded()
        default: false
        }
    }

    private func isEqual(_ left: JSONValue, _ right: JSONValue) -> Bool {
        guard left.kind == right.kind else { return false }
        switch left.kind {
        case .number:
            if let left = left.int, let right = right.int { return left == right }
            return number(left) == number(right)
        case .string: return same(left.string ?? "", right.string ?? "")
        case .array:
            let (left, right) = (left.elementValues, right.elementValues)
            return left.count == right.count && zip(left, right).allSatisfy { isEqual($0, $1) }
        case .object:
            let (left, right) = (members(left), members(right))
            return left.count == right.count
                && left.allSatisfy { one in
                    right.contains { same($0.name, one.name) && isEqual($0.value, one.value) }
                }
        default: return true
        }
    }

    private func target(_ reference: String) -> JSONValue {
        let path = (reference.removingPercentEncoding ?? reference).split(separator: "/")
            .dropFirst()
        return path.reduce(root) { value, part in
            value[
                part.replacingOccurrences(of: "~1", with: "/")
                    .replacingOccurrences(of: "~0", with: "~")] ?? value
        }
    }
}
