/// The methods of Python's types that templates may call. Those that change a list or a dict are known,
/// and refused.
extension TemplateInterpreter {
    private static let textMethods: Set<String> = [
        "upper", "lower", "title", "capitalize", "casefold", "swapcase", "strip", "lstrip",
        "rstrip",
        "split", "rsplit", "splitlines", "partition", "rpartition", "join", "replace", "startswith",
        "endswith", "removeprefix", "removesuffix", "find", "rfind", "index", "rindex", "count",
        "isdigit", "isdecimal", "isnumeric", "isalpha", "isalnum", "isspace", "islower", "isupper",
        "isascii", "zfill", "ljust", "rjust", "center", "format",
    ]
    private static let dictionaryMethods: Set<String> = ["items", "keys", "values", "get", "copy"]
    private static let listMethods: Set<String> = ["index", "count", "copy"]
    private static let changes: Set<String> = [
        "append", "clear", "extend", "insert", "pop", "popitem", "remove", "reverse", "setdefault",
        "sort", "update",
    ]

    static func hasMethod(_ name: String, _ value: TemplateValue) -> Bool {
        switch value {
        case .string: textMethods.contains(name)
        case .dictionary: dictionaryMethods.contains(name)
        case .list(let list): list.kind != .view && listMethods.contains(name)
        case .loop: name == "cycle" || name == "changed"
        default: false
        }
    }

    /// Whether Python has an attribute here that the sandbox hides.
    static func isUnsafe(_ name: String, _ value: TemplateValue) -> Bool {
        switch value {
        case .list(let list): list.kind == .list && changes.contains(name)
        case .dictionary:
            ["clear", "pop", "popitem", "setdefault", "update"].contains(name)
        default: false
        }
    }

    /// Calls a method that `hasMethod` knows.
    func call(
        _ name: String, of receiver: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        switch receiver {
        case .string(let text):
            try charge(text.bytes.count / 16)
            return try callText(name, text, arguments)
        case .dictionary(let dictionary):
            return try callDictionary(name, dictionary, arguments)
        case .list(let list): return try callList(name, list, arguments)
        case .loop(let loop): return try callLoop(name, loop, arguments)
        default: throw .type("a \(receiver.typeName) has no method '\(name)'")
        }
    }

    private func callDictionary(
        _ name: String, _ dictionary: TemplateDictionary, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        if name == "get" {
            let bound = try arguments.bind(["key", "default"], required: 1, of: name)
            return try dictionary.value(of: bound[0] ?? .none) ?? bound[1] ?? .none
        }
        _ = try arguments.bind([], of: name)
        switch name {
        case "items": return .list(try TemplateList(try pairs(of: dictionary), kind: .view))
        case "keys":
            return .list(try TemplateList(dictionary.entries.map(\.key), kind: .view))
        case "values":
            return .list(try TemplateList(dictionary.entries.map(\.value), kind: .view))
        default: return .dictionary(dictionary)
        }
    }

    func pairs(of dictionary: TemplateDictionary) throws(TemplateFault) -> [TemplateValue] {
        var pairs: [TemplateValue] = []
        for (key, value) in dictionary.entries { pairs.append(try .tuple([key, value])) }
        return pairs
    }

    private func callList(
        _ name: String, _ list: TemplateList, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        if name == "copy" {
            _ = try arguments.bind([], of: name)
            return .list(list)
        }
        let wanted = try arguments.bind(["value"], required: 1, of: name)[0] ?? .none
        var count = 0
        for (index, element) in list.elements.enumerated() where try areEqual(element, wanted) {
            if name == "index" { return .int(index) }
            count += 1
        }
        if name == "index" { throw .type("the list does not hold the value") }
        return .int(count)
    }

    private func callLoop(
        _ name: String, _ loop: TemplateLoop, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let values = arguments.positional
        if name == "cycle" {
            guard !values.isEmpty else {
                throw .type("loop.cycle needs something to cycle through")
            }
            return values[loop.index % values.count]
        }
        let last = loop.lastChecked
        loop.lastChecked = values
        guard let last, last.count == values.count else { return .bool(true) }
        for (old, new) in zip(last, values) where try !areEqual(old, new) { return .bool(true) }
        return .bool(false)
    }
}
