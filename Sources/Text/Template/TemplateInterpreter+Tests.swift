/// Jinja's tests: `value is name(...)`.
extension TemplateInterpreter {
    func test(
        _ name: String, _ value: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> Bool {
        if let comparison = Self.comparisons[name] {
            let other = try arguments.bind(["other"], required: 1, of: name)[0] ?? .none
            return try compare(comparison, value, other)
        }
        switch name {
        case "divisibleby":
            let divisor = try arguments.bind(["num"], required: 1, of: name)[0] ?? .none
            let rest = try combine(.modulo, value, divisor)
            return rest.number == 0
        case "sameas":
            let other = try arguments.bind(["other"], required: 1, of: name)[0] ?? .none
            if case .bool(let left) = value, case .bool(let right) = other { return left == right }
            if value.isNone || other.isNone { return value.isNone && other.isNone }
            throw .unsupported("'sameas' but for true, false and none")
        default:
            _ = try arguments.bind([], of: name)
            return try test(name, value)
        }
    }

    private static let comparisons: [String: TemplateExpression.Comparison] = [
        "eq": .equal, "equalto": .equal, "==": .equal, "ne": .notEqual, "!=": .notEqual,
        "lt": .less, "lessthan": .less, "<": .less, "le": .lessOrEqual, "<=": .lessOrEqual,
        "gt": .greater, "greaterthan": .greater, ">": .greater, "ge": .greaterOrEqual,
        ">=": .greaterOrEqual, "in": .contained,
    ]

    private static let tests: Set<String> = [
        "boolean", "callable", "defined", "divisibleby", "escaped", "even", "false", "filter",
        "float",
        "integer", "iterable", "lower", "mapping", "none", "number", "odd", "sameas", "sequence",
        "string", "test", "true", "undefined", "upper",
    ]

    private func test(_ name: String, _ value: TemplateValue) throws(TemplateFault) -> Bool {
        switch (name, value) {
        case ("defined", _): return !value.isUndefined
        case ("undefined", _): return value.isUndefined
        case ("none", _): return value.isNone
        case ("boolean", .bool), ("integer", .int), ("integer", .large), ("float", .float),
            ("number", .int), ("number", .large), ("number", .float), ("number", .bool),
            ("string", .string), ("mapping", .dictionary), ("callable", .function),
            ("callable", .loop):
            return true
        case ("boolean", _), ("integer", _), ("float", _), ("number", _), ("string", _),
            ("mapping", _), ("callable", _):
            return false
        case ("true", .bool(let truth)): return truth
        case ("false", .bool(let truth)): return !truth
        case ("true", _), ("false", _): return false
        case ("sequence", .string), ("sequence", .dictionary), ("sequence", .undefined):
            return true
        case ("sequence", .list(let list)): return list.kind != .view
        case ("sequence", _): return false
        case ("iterable", .string), ("iterable", .dictionary), ("iterable", .undefined),
            ("iterable", .list), ("iterable", .generator), ("iterable", .loop):
            return true
        case ("iterable", _): return false
        case ("escaped", .string(let text)): return text.isMarkup
        case ("escaped", _): return false
        case ("lower", _): return try text(of: value).isLower
        case ("upper", _): return try text(of: value).isUpper
        case ("odd", _), ("even", _):
            let rest = try combine(.modulo, value, .int(2))
            return (rest.number == 1) == (name == "odd")
        case ("test", .string(let name)):
            return Self.tests.contains(name.string) || Self.comparisons[name.string] != nil
        case ("filter", .string(let name)): return Self.filters.contains(name.string)
        default: throw .unsupported("the test '\(name)'")
        }
    }
}
