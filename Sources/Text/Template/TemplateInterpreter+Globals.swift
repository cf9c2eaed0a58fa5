/// The functions that every template can call.
extension TemplateInterpreter {
    /// As in Jinja's sandbox.
    static let longestRange = 100_000

    private static func makeFunctions() -> [String: TemplateFunction.Body] {
        [
            "raise_exception": { (interpreter, arguments) throws(TemplateFault) in
                let message = try arguments.bind(["message"], required: 1, of: "raise_exception")[0]
                throw .raised(try interpreter.text(of: message ?? .none).string)
            },
            "strftime_now": { (interpreter, arguments) throws(TemplateFault) in
                let format = try arguments.bind(["format"], required: 1, of: "strftime_now")[0]
                return .text(
                    try interpreter.clock.text((format ?? .none).expectText("the format").string))
            },
            "namespace": { (interpreter, arguments) throws(TemplateFault) in
                let namespace = interpreter.makeNamespace()
                for (key, value) in try entries(of: arguments, "namespace").entries {
                    let name = try key.expectText("a name").string
                    guard !name.hasPrefix("_") else {
                        throw .unsafe("a namespace has no attribute '\(name)'")
                    }
                    namespace.values[name] = value
                }
                return .namespace(namespace)
            },
            "dict": { (_, arguments) throws(TemplateFault) in
                .dictionary(try entries(of: arguments, "dict"))
            },
            "range": { (_, arguments) throws(TemplateFault) in try range(arguments) },
            "joiner": { (_, arguments) throws(TemplateFault) in
                let separator = try arguments.bind(["sep"], of: "joiner")[0] ?? .text(", ")
                let state = TemplateNamespace()
                return .function(
                    TemplateFunction("joiner", depth: separator.depth + 1) {
                        (_, _) throws(TemplateFault) in
                        defer { state.values["used"] = .bool(true) }
                        return state.values["used"] == nil ? .text("") : separator
                    })
            },
        ]
    }

    static let globals: GlobalFunctions = GlobalFunctions(
        makeFunctions().reduce(into: [:]) { $0[$1.key] = TemplateFunction($1.key, $1.value) })

    /// Functions without state, which tasks may share.
    struct GlobalFunctions: @unchecked Sendable {
        private let functions: [String: TemplateFunction]

        init(_ functions: [String: TemplateFunction]) { self.functions = functions }

        subscript(name: String) -> TemplateFunction? { functions[name] }
    }

    /// The entries that `dict(...)` and `namespace(...)` are given.
    private static func entries(
        of arguments: TemplateArguments, _ function: String
    ) throws(TemplateFault) -> TemplateDictionary {
        var entries = TemplateDictionary()
        guard arguments.positional.count <= 1 else {
            throw .type("\(function) takes one argument without a name")
        }
        switch arguments.positional.first {
        case nil: break
        case .dictionary(let given)?: entries = given
        case .list(let list)?:
            for pair in list.elements {
                guard case .list(let pair) = pair, pair.elements.count == 2 else {
                    throw .type("\(function) needs pairs")
                }
                try entries.set(pair.elements[0], to: pair.elements[1])
            }
        case let other?: throw .type("\(function) of a \(other.typeName)")
        }
        for (name, value) in arguments.named { try entries.set(.text(name), to: value) }
        return entries
    }

    private static func range(
        _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(["start", "stop", "step"], required: 1, of: "range")
        let first = try (bound[0] ?? .none).expectInteger("a bound of range")
        let second = try bound[1].integer("a bound of range")
        let step = try bound[2].integer("the step of range") ?? 1
        let (start, end) = second.map { (first, $0) } ?? (0, first)
        guard step != 0 else { throw .type("the step of range cannot be 0") }
        let isEmpty = step > 0 ? start >= end : start <= end
        let (span, overflow) = end.subtractingReportingOverflow(start)
        guard !overflow, isEmpty || (span.magnitude - 1) / step.magnitude < longestRange else {
            throw .limit("a range of more than \(longestRange) numbers")
        }
        if isEmpty { return try .list([]) }
        let count = Int((span.magnitude - 1) / step.magnitude) + 1
        return try .list((0..<count).map { .int(start + $0 * step) })
    }
}
