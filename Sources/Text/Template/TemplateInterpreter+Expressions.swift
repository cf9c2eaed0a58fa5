extension TemplateInterpreter {
    /// - Parameters:
    ///   - enclosing: the text that a filter without an operand works on.
    ///   - caller: what a call passes on as `caller`.
    func evaluate(
        _ expression: TemplateExpression, enclosing: TemplateValue? = nil,
        caller: TemplateFunction? = nil
    ) throws(TemplateFault) -> TemplateValue {
        line = expression.line
        return try nested { () throws(TemplateFault) in
            switch expression.kind {
            case .constant(let value): value
            case .name(let name): value(of: name)
            case .attribute(let base, let name):
                try attribute(name, of: try evaluate(base))
            case .item(let base, let key):
                try item(try evaluate(key), of: try evaluate(base))
            case .call(let callee, let call): try evaluate(call, of: callee, caller: caller)
            case .filter(let operand, let name, let call):
                try evaluate(filter: name, call, operand, enclosing)
            case .test(let operand, let name, let call):
                .bool(try evaluate(test: name, call, operand))
            default: try evaluate(compound: expression)
            }
        }
    }

    private func evaluate(
        compound expression: TemplateExpression
    ) throws(TemplateFault) -> TemplateValue {
        switch expression.kind {
        case .list(let parts): try charged(try .list(try evaluate(all: parts)))
        case .tuple(let parts): try charged(try .tuple(try evaluate(all: parts)))
        case .dictionary(let entries): try evaluate(entries: entries)
        case .slice(let base, let bounds): try evaluate(slice: bounds, of: base)
        case .not(let operand): .bool(!(try isTrue(try evaluate(operand))))
        case .and(let left, let right): try evaluate(left, right, whenFirstIs: true)
        case .or(let left, let right): try evaluate(left, right, whenFirstIs: false)
        case .negative(let operand): try negated(try evaluate(operand))
        case .positive(let operand): try positive(try evaluate(operand))
        case .binary(let operation, let left, let right):
            try evaluate(operation, left, right, line: expression.line)
        case .concatenation(let parts): try evaluate(concatenation: parts)
        case .comparison(let first, let rest): try evaluate(comparison: first, rest)
        case .choice(let condition, let then, let otherwise):
            try evaluate(choice: condition, then, otherwise)
        case .constant, .name, .attribute, .item, .call, .filter, .test:
            preconditionFailure("evaluated before")
        }
    }

    private func evaluate(
        _ operation: TemplateExpression.Operation, _ left: TemplateExpression,
        _ right: TemplateExpression, line here: Int
    ) throws(TemplateFault) -> TemplateValue {
        let left = try evaluate(left)
        let right = try evaluate(right)
        line = here
        return try charged(try combine(operation, left, right))
    }

    private func evaluate(
        all parts: [TemplateExpression]
    ) throws(TemplateFault) -> [TemplateValue] {
        var values: [TemplateValue] = []
        values.reserveCapacity(parts.count)
        for part in parts { values.append(try evaluate(part)) }
        return values
    }

    private func evaluate(
        entries: [(key: TemplateExpression, value: TemplateExpression)]
    ) throws(TemplateFault) -> TemplateValue {
        var dictionary = TemplateDictionary()
        for (key, value) in entries {
            try dictionary.set(try evaluate(key), to: try evaluate(value))
        }
        return try charged(.dictionary(dictionary))
    }

    /// `and` and `or` give one of their operands.
    private func evaluate(
        _ left: TemplateExpression, _ right: TemplateExpression, whenFirstIs truth: Bool
    ) throws(TemplateFault) -> TemplateValue {
        let first = try evaluate(left)
        return try isTrue(first) == truth ? try evaluate(right) : first
    }

    private func evaluate(
        concatenation parts: [TemplateExpression]
    ) throws(TemplateFault) -> TemplateValue {
        var result = TemplatePrinter(limit: limits.bytes)
        for part in parts { try result.print(try evaluate(part)) }
        return try charged(.string(TemplateText(bytes: result.output)))
    }

    private func evaluate(
        comparison first: TemplateExpression,
        _ rest: [(TemplateExpression.Comparison, TemplateExpression)]
    ) throws(TemplateFault) -> TemplateValue {
        var left = try evaluate(first)
        for (comparison, expression) in rest {
            let right = try evaluate(expression)
            if !(try compare(comparison, left, right)) { return .bool(false) }
            left = right
        }
        return .bool(true)
    }

    private func evaluate(
        choice condition: TemplateExpression, _ then: TemplateExpression,
        _ otherwise: TemplateExpression?
    ) throws(TemplateFault) -> TemplateValue {
        if try isTrue(try evaluate(condition)) { return try evaluate(then) }
        if let otherwise { return try evaluate(otherwise) }
        return .undefined(.init(message: "an inline 'if' was false and has no 'else'"))
    }

    private func evaluate(
        filter name: String, _ call: TemplateCall, _ operand: TemplateExpression?,
        _ enclosing: TemplateValue?
    ) throws(TemplateFault) -> TemplateValue {
        let here = line
        var value = enclosing ?? .none
        if let operand { value = try evaluate(operand, enclosing: enclosing) }
        let arguments = try evaluate(call)
        line = here
        return try charged(try filter(name, value, arguments))
    }

    private func evaluate(
        test name: String, _ call: TemplateCall, _ operand: TemplateExpression
    ) throws(TemplateFault) -> Bool {
        try test(name, try evaluate(operand), try evaluate(call))
    }

    // MARK: Calls

    private func evaluate(_ call: TemplateCall) throws(TemplateFault) -> TemplateArguments {
        var arguments = TemplateArguments(positional: try evaluate(all: call.positional))
        for (name, value) in call.named { arguments.named.append((name, try evaluate(value))) }
        if let list = call.list {
            arguments.positional += try elements(of: try evaluate(list))
        }
        if let dictionary = call.dictionary {
            guard case .dictionary(let entries) = try evaluate(dictionary) else {
                throw .type("the arguments behind '**' must be a dict")
            }
            for (key, value) in entries.entries {
                arguments.named.append((try key.expectText("a parameter's name").string, value))
            }
        }
        try charge(arguments.positional.count + arguments.named.count)
        return arguments
    }

    private func evaluate(
        _ call: TemplateCall, of callee: TemplateExpression, caller: TemplateFunction?
    ) throws(TemplateFault) -> TemplateValue {
        let here = line
        func arguments() throws(TemplateFault) -> TemplateArguments {
            var arguments = try evaluate(call)
            if let caller { arguments.named.append(("caller", .function(caller))) }
            line = here
            return arguments
        }
        // A method that is called at once needs no value of its own.
        if case .attribute(let base, let name) = callee.kind {
            let receiver = try evaluate(base)
            if Self.hasMethod(name, receiver) {
                return try charged(try self.call(name, of: receiver, try arguments()))
            }
            return try self.call(try attribute(name, of: receiver), try arguments())
        }
        return try self.call(try evaluate(callee), try arguments())
    }

    func call(
        _ callee: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        switch callee {
        case .function(let function):
            return try nested { () throws(TemplateFault) in
                try charged(try function.body(self, arguments))
            }
        case .loop(let loop):
            guard let recursion = loop.recursion else {
                throw .type("the loop is called, but was not declared to be recursive")
            }
            return try recursion.body(self, arguments)
        case .undefined(let undefined): throw undefined.fault
        default: throw .type("a \(callee.typeName) cannot be called")
        }
    }
}
