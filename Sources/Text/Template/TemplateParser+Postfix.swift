/// What may stand behind a value: attributes, subscripts, calls, filters, tests.
extension TemplateParser {
    mutating func parsePostfix(
        _ start: TemplateExpression
    ) throws(TemplateError) -> TemplateExpression {
        var result = start
        while true {
            if isAt(.dot) {
                result = try parseAttribute(of: result)
            } else if isAt(.leftBracket) {
                result = try parseSubscript(of: result)
            } else if isAt(.leftParenthesis) {
                result = try parseCall(of: result)
            } else {
                return result
            }
        }
    }

    mutating func parseFilters(
        _ start: TemplateExpression
    ) throws(TemplateError) -> TemplateExpression {
        var result = start
        while true {
            if isAt(.pipe) {
                skip()
                result = try parseFilter(of: result)
            } else if isAt("is") {
                result = try parseTest(of: result)
            } else if isAt(.leftParenthesis) {
                result = try parseCall(of: result)
            } else {
                return result
            }
        }
    }

    private mutating func parseAttribute(
        of value: TemplateExpression
    ) throws(TemplateError) -> TemplateExpression {
        let line = current.line
        skip()
        switch current.kind {
        case .name(let name):
            skip()
            return try TemplateExpression(.attribute(value, name), line: line, over: [value])
        case .integer(let index):
            skip()
            let place = try TemplateExpression(.constant(.int(index)), line: line)
            return try TemplateExpression(.item(value, place), line: line, over: [value])
        default: throw unexpected("a name or a number")
        }
    }

    private mutating func parseSubscript(
        of value: TemplateExpression
    ) throws(TemplateError) -> TemplateExpression {
        let line = current.line
        skip()
        var bounds: [TemplateExpression?] = [nil]
        if !isAt(.colon) { bounds[0] = try parseExpression() }
        guard isAt(.colon) else {
            guard let place = bounds[0] else { throw unexpected("an expression") }
            var places = [place]
            while take(.comma) {
                if isAt(.rightBracket) { throw unexpected("an expression") }
                places.append(try parseExpression())
            }
            try expect(.rightBracket)
            let key =
                places.count == 1
                ? place : try TemplateExpression(.tuple(places), line: line, over: places)
            return try TemplateExpression(.item(value, key), line: line, over: [value, key])
        }
        while bounds.count < 3, take(.colon) {
            let isEmpty = isAt(.colon) || isAt(.rightBracket)
            bounds.append(isEmpty ? nil : try parseExpression())
        }
        try expect(.rightBracket)
        bounds += Array(repeating: nil, count: 3 - bounds.count)
        return try TemplateExpression(
            .slice(value, bounds), line: line, over: [value] + bounds.compactMap { $0 })
    }

    mutating func parseCall(
        of callee: TemplateExpression
    ) throws(TemplateError) -> TemplateExpression {
        let line = current.line
        let call = try parseArguments()
        return try TemplateExpression(
            .call(callee, call), line: line, over: [callee] + call.parts)
    }

    mutating func parseArguments() throws(TemplateError) -> TemplateCall {
        try expect(.leftParenthesis)
        var call = TemplateCall()
        var isFirst = true
        while !isAt(.rightParenthesis) {
            if !isFirst {
                try expect(.comma)
                if isAt(.rightParenthesis) { break }
            }
            isFirst = false
            let start = current
            var isInOrder = call.dictionary == nil
            if take(.times) {
                isInOrder = isInOrder && call.list == nil
                call.list = try parseExpression()
            } else if take(.power) {
                call.dictionary = try parseExpression()
            } else if case .name(let name) = current.kind, following.kind == .symbol(.assign) {
                skip()
                skip()
                call.named.append((name, try parseExpression()))
            } else {
                isInOrder = isInOrder && call.list == nil && call.named.isEmpty
                call.positional.append(try parseExpression())
            }
            if !isInOrder {
                throw failure("arguments in an order that calls do not have", line: start.line)
            }
        }
        skip()
        return call
    }

    /// A filter, from its name on.
    /// - Parameter value: nil for what a block encloses.
    mutating func parseFilter(
        of value: TemplateExpression?
    ) throws(TemplateError) -> TemplateExpression {
        let line = current.line
        let name = try parseDottedName()
        let call = isAt(.leftParenthesis) ? try parseArguments() : TemplateCall()
        return try TemplateExpression(
            .filter(value, name, call), line: line, over: (value.map { [$0] } ?? []) + call.parts)
    }

    private mutating func parseDottedName() throws(TemplateError) -> String {
        var name = try expectName()
        while take(.dot) { name += "." + (try expectName()) }
        return name
    }

    private mutating func parseTest(
        of value: TemplateExpression
    ) throws(TemplateError) -> TemplateExpression {
        let line = current.line
        skip()
        let isNegated = take("not")
        let name = try parseDottedName()
        var call = TemplateCall()
        if isAt(.leftParenthesis) {
            call = try parseArguments()
        } else if beginsTestArgument {
            if isAt("is") { throw failure("tests cannot be chained with 'is'") }
            let argument = try parsePrimary()
            call.positional = [try parsePostfix(argument)]
        }
        let test = try TemplateExpression(
            .test(value, name, call), line: line, over: [value] + call.parts)
        return isNegated ? try TemplateExpression(.not(test), line: line, over: [test]) : test
    }

    private var beginsTestArgument: Bool {
        switch current.kind {
        case .name(let name): !["else", "or", "and"].contains(name)
        case .string, .integer, .float, .symbol(.leftBracket), .symbol(.leftBrace): true
        default: false
        }
    }
}
