/// Evaluates a template's statements. One instance renders once, in one task.
///
/// What a template can reach is what it was given, the functions and methods listed in this folder, and
/// nothing else: there are no attributes but the keys of dicts and those of namespaces and `loop`.
final class TemplateInterpreter {
    enum Flow { case onward, breaks, continues }

    let limits: TemplateLimits
    let clock: TemplateClock
    private(set) var scope: TemplateScope
    private(set) var output: TemplatePrinter
    /// The line of what is being evaluated.
    var line = 1
    private var steps = 0
    private var depth = 0
    /// What may refer to itself: emptied at the end, so that nothing leaks.
    private var namespaces: [TemplateNamespace] = []
    private var scopes: [TemplateScope] = []

    init(_ variables: [String: TemplateValue], limits: TemplateLimits, clock: TemplateClock) {
        self.limits = limits
        self.clock = clock
        scope = TemplateScope()
        scope.values = variables
        output = TemplatePrinter(limit: limits.bytes)
        scopes = [scope]
    }

    /// - Returns: the text, as UTF-8.
    func render(_ statements: [TemplateStatement]) throws(TemplateFault) -> [UInt8] {
        defer {
            for namespace in namespaces { namespace.values = [:] }
            for scope in scopes { scope.values = [:] }
        }
        guard try execute(statements) == .onward else {
            throw .syntax("'break' or 'continue' outside of a loop")
        }
        return output.output
    }

    // MARK: Bounds

    func charge(_ count: Int = 1) throws(TemplateFault) {
        steps += count
        guard steps <= limits.steps else { throw .limit("more than \(limits.steps) steps") }
    }

    /// Charges what it costs to hold a value that was just made.
    func charged(_ value: TemplateValue) throws(TemplateFault) -> TemplateValue {
        switch value {
        case .string(let text):
            guard text.bytes.count <= limits.bytes else {
                throw .limit("a text of more than \(limits.bytes) bytes")
            }
            try charge(text.bytes.count / 16)
        case .list(let list):
            guard list.elements.count <= limits.elements else {
                throw .limit("a list of more than \(limits.elements) elements")
            }
            try charge(list.elements.count)
        case .dictionary(let dictionary): try charge(dictionary.count)
        default: break
        }
        return value
    }

    /// Runs `body` one level deeper.
    func nested<Value>(
        _ body: () throws(TemplateFault) -> Value
    ) throws(TemplateFault) -> Value {
        guard depth < limits.depth else {
            throw .limit("evaluation is nested deeper than \(limits.depth)")
        }
        depth += 1
        defer { depth -= 1 }
        try charge()
        return try body()
    }

    // MARK: Scopes

    func within<Value>(
        _ inner: TemplateScope, _ body: () throws(TemplateFault) -> Value
    ) throws(TemplateFault) -> Value {
        let outer = scope
        scope = inner
        defer { scope = outer }
        return try body()
    }

    /// Marks the current scope as one that a function refers to.
    func keepScope() -> TemplateScope {
        scopes.append(scope)
        return scope
    }

    func makeNamespace() -> TemplateNamespace {
        let namespace = TemplateNamespace()
        namespaces.append(namespace)
        return namespace
    }

    /// The text that `body` writes.
    func captured(_ body: () throws(TemplateFault) -> Void) throws(TemplateFault) -> TemplateText {
        let outer = output
        output = TemplatePrinter(limit: limits.bytes)
        defer { output = outer }
        try body()
        try charge(output.output.count / 16)
        return TemplateText(bytes: output.output)
    }

    func write(_ value: TemplateValue) throws(TemplateFault) {
        let before = output.output.count
        try output.print(value)
        try charge((output.output.count - before) / 16)
    }

    func write(_ text: TemplateText) throws(TemplateFault) {
        try output.write(text.bytes)
        try charge(text.bytes.count / 16)
    }

    /// Python's `str` of a value.
    func text(of value: TemplateValue) throws(TemplateFault) -> TemplateText {
        if case .string(let text) = value { return text }
        var printer = TemplatePrinter(limit: limits.bytes)
        try printer.print(value)
        try charge(printer.output.count / 16)
        return TemplateText(bytes: printer.output)
    }
}
