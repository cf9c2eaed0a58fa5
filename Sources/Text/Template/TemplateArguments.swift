/// The arguments of a call, evaluated.
struct TemplateArguments {
    var positional: [TemplateValue] = []
    var named: [(name: String, value: TemplateValue)] = []

    /// The arguments by parameter, as Python binds them; nil where none was given.
    /// - Parameter required: how many of the parameters must be given.
    func bind(
        _ parameters: [String], required: Int = 0, of function: String
    ) throws(TemplateFault) -> [TemplateValue?] {
        guard positional.count <= parameters.count else {
            throw .type(
                "\(function) takes \(parameters.count) arguments, \(positional.count) were given")
        }
        var bound: [TemplateValue?] = positional
        bound += Array(repeating: nil, count: parameters.count - positional.count)
        for (name, value) in named {
            guard let place = parameters.firstIndex(of: name) else {
                throw .type("\(function) has no parameter \(name)")
            }
            guard bound[place] == nil else { throw .type("\(function) was given \(name) twice") }
            bound[place] = value
        }
        for place in 0..<required where bound[place] == nil {
            throw .type("\(function) needs \(parameters[place])")
        }
        return bound
    }
}

extension TemplateValue {
    func expectText(_ what: String) throws(TemplateFault) -> TemplateText {
        switch self {
        case .string(let text): return text
        case .undefined(let undefined): throw undefined.fault
        default: throw .type("\(what) must be a string, not \(typeName)")
        }
    }

    func expectInteger(_ what: String) throws(TemplateFault) -> Int {
        if case .undefined(let undefined) = self { throw undefined.fault }
        guard let integer else { throw .type("\(what) must be an integer, not \(typeName)") }
        return integer
    }
}

extension TemplateValue? {
    /// An argument that may be left out or be none.
    func text(_ what: String) throws(TemplateFault) -> TemplateText? {
        guard let self, !self.isNone else { return nil }
        return try self.expectText(what)
    }

    func integer(_ what: String) throws(TemplateFault) -> Int? {
        guard let self, !self.isNone else { return nil }
        return try self.expectInteger(what)
    }
}
