extension TemplateInterpreter {
    func execute(_ statements: [TemplateStatement]) throws(TemplateFault) -> Flow {
        for statement in statements {
            line = statement.line
            let flow = try nested { () throws(TemplateFault) in try execute(statement) }
            if flow != .onward { return flow }
        }
        return .onward
    }

    private func execute(_ statement: TemplateStatement) throws(TemplateFault) -> Flow {
        switch statement.kind {
        case .text(let text): try write(text)
        case .output(let expression): try write(try evaluate(expression))
        case .branches(let branches, let otherwise):
            for (condition, body) in branches where try isTrue(try evaluate(condition)) {
                return try execute(body)
            }
            return try execute(otherwise)
        case .loop(let loop): return try run(loop)
        case .set(let target, let expression):
            try assign(try evaluate(expression), to: target)
        case .setBlock(let target, let filter, let body):
            var value = TemplateValue.string(try inner(body))
            if let filter { value = try evaluate(filter, enclosing: value) }
            try assign(value, to: target)
        case .filterBlock(let filter, let body):
            let text = try inner(body)
            try write(try evaluate(filter, enclosing: .string(text)))
        case .macro(let macro): scope.values[macro.name] = .function(function(of: macro))
        case .callBlock(let call, let macro):
            try write(try evaluate(call, caller: function(of: macro)))
        case .with(let values, let body):
            // Values are evaluated outside of the new scope.
            var assigned: [(TemplateStatement.Target, TemplateValue)] = []
            for (target, expression) in values {
                assigned.append((target, try evaluate(expression)))
            }
            return try within(TemplateScope(in: scope)) { () throws(TemplateFault) in
                for (target, value) in assigned { try assign(value, to: target) }
                return try execute(body)
            }
        case .scope(let body): try write(try inner(body))
        case .breakLoop: return .breaks
        case .continueLoop: return .continues
        }
        return .onward
    }

    /// The text of a body with a scope of its own, which no `break` leaves.
    private func inner(_ body: [TemplateStatement]) throws(TemplateFault) -> TemplateText {
        try captured { () throws(TemplateFault) in
            try within(TemplateScope(in: scope)) { () throws(TemplateFault) in
                guard try execute(body) == .onward else {
                    throw .unsupported("'break' or 'continue' out of a block")
                }
            }
        }
    }

    func assign(
        _ value: TemplateValue, to target: TemplateStatement.Target
    ) throws(TemplateFault) {
        switch target {
        case .name(let name): scope.values[name] = value
        case .attribute(let name, let attribute):
            guard case .namespace(let namespace)? = scope.value(of: name) else {
                throw .type("'\(name)' is no namespace: its attributes cannot be set")
            }
            guard !attribute.hasPrefix("_") else {
                throw .unsafe("a namespace has no attribute '\(attribute)'")
            }
            namespace.values[attribute] = value
        case .tuple(let targets):
            let values = try elements(of: value)
            guard values.count == targets.count else {
                throw .type("\(values.count) values cannot be assigned to \(targets.count) names")
            }
            for (value, target) in zip(values, targets) { try assign(value, to: target) }
        }
    }

    // MARK: Loops

    private func run(_ loop: TemplateStatement.Loop) throws(TemplateFault) -> Flow {
        // `break` and `continue` end within the loop.
        try run(loop, over: try evaluate(loop.sequence), level: 0, in: scope)
        return .onward
    }

    private func run(
        _ loop: TemplateStatement.Loop, over value: TemplateValue, level: Int,
        in outer: TemplateScope
    ) throws(TemplateFault) {
        let elements = try kept(try elements(of: value), by: loop, in: outer)
        let recursion =
            loop.isRecursive ? recursion(of: loop, level: level + 1, in: outer) : nil
        let state = try TemplateLoop(elements, level: level, recursion: recursion)
        for (index, element) in elements.enumerated() {
            try charge()
            state.index = index
            let inner = TemplateScope(in: outer)
            inner.values["loop"] = .loop(state)
            let flow = try within(inner) { () throws(TemplateFault) in
                try assign(element, to: loop.target)
                return try execute(loop.body)
            }
            if flow == .breaks { break }
        }
        if elements.isEmpty {
            _ = try within(TemplateScope(in: outer)) { () throws(TemplateFault) in
                try execute(loop.otherwise)
            }
        }
    }

    private func kept(
        _ elements: [TemplateValue], by loop: TemplateStatement.Loop, in outer: TemplateScope
    ) throws(TemplateFault) -> [TemplateValue] {
        guard let condition = loop.condition else { return elements }
        var kept: [TemplateValue] = []
        for element in elements {
            let isKept = try within(TemplateScope(in: outer)) { () throws(TemplateFault) in
                try assign(element, to: loop.target)
                return try isTrue(try evaluate(condition))
            }
            if isKept { kept.append(element) }
        }
        return kept
    }

    private func recursion(
        of loop: TemplateStatement.Loop, level: Int, in outer: TemplateScope
    ) -> TemplateFunction {
        TemplateFunction("loop") { (interpreter, arguments) throws(TemplateFault) in
            let value = try arguments.bind(["iterable"], required: 1, of: "loop")[0] ?? .none
            return .string(
                try interpreter.nested { () throws(TemplateFault) in
                    try interpreter.captured { () throws(TemplateFault) in
                        try interpreter.run(loop, over: value, level: level, in: outer)
                    }
                })
        }
    }

    // MARK: Macros

    private func function(of macro: TemplateStatement.Macro) -> TemplateFunction {
        let home = keepScope()
        return TemplateFunction(macro.name) { (interpreter, arguments) throws(TemplateFault) in
            try interpreter.call(macro, arguments, in: home)
        }
    }

    private func call(
        _ macro: TemplateStatement.Macro, _ arguments: TemplateArguments, in home: TemplateScope
    ) throws(TemplateFault) -> TemplateValue {
        let inner = TemplateScope(in: home)
        let names = macro.parameters.map(\.name)
        for (name, value) in zip(names, arguments.positional) { inner.values[name] = value }
        let surplus = Array(arguments.positional.dropFirst(names.count))
        guard surplus.isEmpty || macro.takesList else {
            throw .type("macro '\(macro.name)' takes no more than \(names.count) arguments")
        }
        var others = TemplateDictionary()
        for (name, value) in arguments.named {
            if names.contains(name) {
                guard inner.values[name] == nil else {
                    throw .type("macro '\(macro.name)' was given \(name) twice")
                }
                inner.values[name] = value
            } else if name == "caller", macro.takesCaller {
                inner.values[name] = value
            } else if macro.takesDictionary {
                try others.set(.text(name), to: value)
            } else {
                throw .type("macro '\(macro.name)' takes no argument '\(name)'")
            }
        }
        if macro.takesList { inner.values["varargs"] = try .tuple(surplus) }
        if macro.takesDictionary { inner.values["kwargs"] = .dictionary(others) }
        if macro.takesCaller, inner.values["caller"] == nil {
            inner.values["caller"] = .undefined(.init(message: "no caller is defined"))
        }
        let here = line
        defer { line = here }
        let text = try nested { () throws(TemplateFault) in
            try within(inner) { () throws(TemplateFault) in
                try captured { () throws(TemplateFault) in
                    for (name, standard) in macro.parameters where inner.values[name] == nil {
                        inner.values[name] =
                            try standard.map { (value) throws(TemplateFault) in
                                try evaluate(value)
                            } ?? .undefined(.init(message: "parameter '\(name)' was not provided"))
                    }
                    guard try execute(macro.body) == .onward else {
                        throw .syntax("'break' or 'continue' outside of a loop")
                    }
                }
            }
        }
        return .string(text)
    }
}
