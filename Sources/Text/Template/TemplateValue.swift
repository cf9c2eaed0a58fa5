/// A value of the template language: Python's types, as far as templates meet them.
///
/// Sendable is unchecked for the cases that refer to state (`namespace`, `generator`, `function`,
/// `loop`): these arise while a template is evaluated, by one task, and do not outlive it.
package indirect enum TemplateValue: @unchecked Sendable {
    case undefined(TemplateUndefined)
    case none
    case bool(Bool)
    case int(Int)
    /// An integer from JSON that does not fit: only printed.
    case large(String)
    case float(Double)
    case string(TemplateText)
    case list(TemplateList)
    case dictionary(TemplateDictionary)
    case namespace(TemplateNamespace)
    case generator(TemplateGenerator)
    case function(TemplateFunction)
    case loop(TemplateLoop)

    package static func text(_ string: String) -> TemplateValue { .string(TemplateText(string)) }

    static func list(_ elements: [TemplateValue]) throws(TemplateFault) -> TemplateValue {
        .list(try TemplateList(elements))
    }
    static func tuple(_ elements: [TemplateValue]) throws(TemplateFault) -> TemplateValue {
        .list(try TemplateList(elements, kind: .tuple))
    }

    var isUndefined: Bool {
        if case .undefined = self { return true }
        return false
    }
    var isNone: Bool {
        if case .none = self { return true }
        return false
    }

    /// Levels of lists and dicts.
    var depth: Int {
        switch self {
        case .list(let list): list.depth
        case .dictionary(let dictionary): dictionary.depth
        case .generator(let generator): generator.depth
        case .function(let function): function.depth
        case .loop(let loop): loop.depth
        // May hold itself; the interpreter empties it at the end.
        case .namespace: 1
        default: 0
        }
    }

    /// Python's name of the type, for messages.
    var typeName: String {
        switch self {
        case .undefined: "undefined"
        case .none: "None"
        case .bool: "bool"
        case .int, .large: "int"
        case .float: "float"
        case .string: "str"
        case .list(let list): list.kind.rawValue
        case .dictionary: "dict"
        case .namespace: "namespace"
        case .generator: "generator"
        case .function: "function"
        case .loop: "loop"
        }
    }

    /// The value as a number's integer: `true` is 1.
    var integer: Int? {
        switch self {
        case .int(let value): value
        case .bool(let value): value ? 1 : 0
        default: nil
        }
    }

    var number: Double? {
        if case .float(let value) = self { return value }
        return integer.map(Double.init)
    }
}

/// What a name or a key without a value gives: prints as nothing, and fails when it is used.
package struct TemplateUndefined: Equatable {
    let message: String
    /// Whether the sandbox hides what is there.
    var isUnsafe = false

    var fault: TemplateFault { isUnsafe ? .unsafe(message) : .undefined(message) }
}

/// A list, a tuple, or what a dict's `items()` gives. Never changed once made.
package struct TemplateList {
    enum Kind: String { case list, tuple, view }

    let elements: [TemplateValue]
    let kind: Kind
    let depth: Int

    init(_ elements: [TemplateValue], kind: Kind = .list) throws(TemplateFault) {
        self.elements = elements
        self.kind = kind
        depth = try Self.depth(of: elements)
    }

    /// One more than that of the deepest element.
    static func depth(of elements: [TemplateValue]) throws(TemplateFault) -> Int {
        let inner = elements.reduce(0) { max($0, $1.depth) }
        guard inner < TemplateLimits.nesting else {
            throw .limit("values are nested deeper than \(TemplateLimits.nesting)")
        }
        return inner + 1
    }
}

/// A dict: keys in the order in which they came. Never changed once made.
package struct TemplateDictionary {
    /// Python's scalars as keys: 1, 1.0 and True are the same one.
    enum Key: Hashable {
        case none
        case int(Int)
        case float(Double)
        case string(TemplateText)

        init(_ value: TemplateValue) throws(TemplateFault) {
            switch value {
            case .none: self = .none
            case .string(let text): self = .string(text)
            case .float(let number):
                if let whole = Int(exactly: number) {
                    self = .int(whole)
                } else {
                    self = .float(number)
                }
            default:
                guard let whole = value.integer else {
                    throw .type("a \(value.typeName) cannot be a key")
                }
                self = .int(whole)
            }
        }
    }

    private(set) var entries: [(key: TemplateValue, value: TemplateValue)] = []
    private var places: [Key: Int] = [:]
    private(set) var depth = 1

    init() {}

    var count: Int { entries.count }

    /// Sets the value of a key; one that is there keeps its place.
    mutating func set(
        _ key: TemplateValue, to value: TemplateValue
    ) throws(TemplateFault) {
        let name = try Key(key)
        guard value.depth < TemplateLimits.nesting else {
            throw .limit("values are nested deeper than \(TemplateLimits.nesting)")
        }
        depth = max(depth, value.depth + 1)
        if let place = places[name] {
            entries[place].value = value
        } else {
            places[name] = entries.count
            entries.append((key, value))
        }
    }

    func value(of key: TemplateValue) throws(TemplateFault) -> TemplateValue? {
        places[try Key(key)].map { entries[$0].value }
    }

    subscript(key: TemplateText) -> TemplateValue? {
        places[.string(key)].map { entries[$0].value }
    }
}

/// Variables that a template may change from within a loop.
package final class TemplateNamespace {
    var values: [String: TemplateValue] = [:]
}

/// What `map`, `select` and their like give: true whatever it holds, and read once.
package final class TemplateGenerator {
    private var elements: ArraySlice<TemplateValue>
    let depth: Int

    init(_ elements: [TemplateValue]) throws(TemplateFault) {
        depth = try TemplateList.depth(of: elements)
        self.elements = elements[...]
    }

    func next() -> TemplateValue? { elements.popFirst() }

    func rest() -> [TemplateValue] {
        defer { elements = [] }
        return Array(elements)
    }
}

/// Something that can be called: a macro, a method of a value, a global function.
package final class TemplateFunction {
    typealias Body = (TemplateInterpreter, TemplateArguments) throws(TemplateFault) -> TemplateValue

    let name: String
    /// One more than that of the values that it holds.
    let depth: Int
    let body: Body

    init(_ name: String, depth: Int = 1, _ body: @escaping Body) {
        self.name = name
        self.depth = depth
        self.body = body
    }
}
