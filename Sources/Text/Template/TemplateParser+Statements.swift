/// Statements: the tags of Jinja that a template without other templates can use.
extension TemplateParser {
    mutating func parseTemplate() throws(TemplateError) -> [TemplateStatement] {
        let statements = try parseBody(until: [])
        guard current.kind == .end else { throw unexpected("the end of the template") }
        return statements
    }

    /// Statements up to a tag of one of these names, which becomes the current token; up to the end of
    /// the template if there are none.
    private mutating func parseBody(
        until ends: [String]
    ) throws(TemplateError) -> [TemplateStatement] {
        try nested { (parser) throws(TemplateError) in
            var statements: [TemplateStatement] = []
            while true {
                let token = parser.current
                parser.skip()
                switch token.kind {
                case .data(let text):
                    statements.append(TemplateStatement(kind: .text(text), line: token.line))
                case .variableBegin:
                    let value = try parser.parseTuple()
                    try parser.expect(.variableEnd, "'}}'")
                    statements.append(TemplateStatement(kind: .output(value), line: token.line))
                case .blockBegin:
                    if case .name(let name) = parser.current.kind, ends.contains(name) {
                        return statements
                    }
                    if let statement = try parser.parseStatement() { statements.append(statement) }
                    try parser.expect(.blockEnd, "'%}'")
                default:
                    guard ends.isEmpty else {
                        throw parser.unexpected("'{% \(ends.joined(separator: "' or '")) %}'")
                    }
                    return statements
                }
            }
        }
    }

    /// The body of a tag that ends with `end`, which is skipped.
    private mutating func parseBlock(_ end: String) throws(TemplateError) -> [TemplateStatement] {
        try beginBlock()
        let body = try parseBody(until: [end])
        skip()
        return body
    }

    private mutating func beginBlock() throws(TemplateError) {
        _ = take(.colon)
        try expect(.blockEnd, "'%}'")
    }

    private mutating func parseStatement() throws(TemplateError) -> TemplateStatement? {
        let line = current.line
        let name = try expectName()
        let kind: TemplateStatement.Kind
        switch name {
        case "for": kind = try parseFor()
        case "if": kind = try parseIf()
        case "set": kind = try parseSet()
        case "macro": kind = .macro(try parseMacro(name: try expectName()))
        case "call": kind = try parseCallBlock(line: line)
        case "filter":
            let filter = try parseFilterChain()
            kind = .filterBlock(filter, try parseBlock("endfilter"))
        case "with": kind = try parseWith()
        case "generation": kind = .scope(try parseBlock("endgeneration"))
        case "break": kind = .breakLoop
        case "continue": kind = .continueLoop
        case "print": kind = .output(try parsePrint(line: line))
        case "block", "extends", "include", "import", "from", "autoescape":
            throw TemplateError(fault: .unsupported("the tag '\(name)'"), line: line)
        default: throw failure("unknown tag '\(name)'", line: line)
        }
        return TemplateStatement(kind: kind, line: line)
    }

    private mutating func parseFor() throws(TemplateError) -> TemplateStatement.Kind {
        let target = try parseTarget(end: "in")
        guard take("in") else { throw unexpected("'in'") }
        let sequence = try parseTuple(allowsChoice: false, end: "recursive")
        let condition = take("if") ? try parseExpression() : nil
        let isRecursive = take("recursive")
        try beginBlock()
        let body = try parseBody(until: ["endfor", "else"])
        let hasElse = isAt("else")
        skip()
        let otherwise = hasElse ? try parseBlock("endfor") : []
        return .loop(
            .init(
                target: target, sequence: sequence, condition: condition, isRecursive: isRecursive,
                body: body, otherwise: otherwise))
    }

    private mutating func parseIf() throws(TemplateError) -> TemplateStatement.Kind {
        var branches: [(condition: TemplateExpression, body: [TemplateStatement])] = []
        while true {
            let condition = try parseTuple(allowsChoice: false)
            try beginBlock()
            branches.append((condition, try parseBody(until: ["elif", "else", "endif"])))
            if take("elif") { continue }
            let hasElse = isAt("else")
            skip()
            return .branches(branches, otherwise: hasElse ? try parseBlock("endif") : [])
        }
    }

    private mutating func parseSet() throws(TemplateError) -> TemplateStatement.Kind {
        let target = try parseTarget(end: nil)
        if take(.assign) { return .set(target, try parseTuple()) }
        let filter = take(.pipe) ? try parseFilterChain() : nil
        return .setBlock(target, filter, try parseBlock("endset"))
    }

    /// Filters on what a block encloses.
    private mutating func parseFilterChain() throws(TemplateError) -> TemplateExpression {
        var filter = try parseFilter(of: nil)
        while take(.pipe) { filter = try parseFilter(of: filter) }
        return filter
    }

    private mutating func parseWith() throws(TemplateError) -> TemplateStatement.Kind {
        var values: [(TemplateStatement.Target, TemplateExpression)] = []
        while current.kind != .blockEnd {
            if !values.isEmpty { try expect(.comma) }
            let target = try parseTarget(end: nil)
            try expect(.assign)
            values.append((target, try parseExpression()))
        }
        return .with(values, try parseBlock("endwith"))
    }

    private mutating func parsePrint(line: Int) throws(TemplateError) -> TemplateExpression {
        var parts: [TemplateExpression] = []
        while current.kind != .blockEnd {
            if !parts.isEmpty { try expect(.comma) }
            parts.append(try parseExpression())
        }
        return try TemplateExpression(.concatenation(parts), line: line, over: parts)
    }

    // MARK: Macros

    private mutating func parseMacro(name: String) throws(TemplateError) -> TemplateStatement.Macro
    {
        let parameters = try parseParameters()
        let start = position
        let body = try parseBlock("endmacro")
        return macro(name: name, parameters, body, from: start)
    }

    private func macro(
        name: String, _ parameters: [(name: String, standard: TemplateExpression?)],
        _ body: [TemplateStatement], from start: Int
    ) -> TemplateStatement.Macro {
        let names = tokens[start..<position].lazy.map(\.kind)
        return TemplateStatement.Macro(
            name: name, parameters: parameters, body: body,
            takesList: names.contains(.name("varargs")),
            takesDictionary: names.contains(.name("kwargs")),
            takesCaller: names.contains(.name("caller")))
    }

    private mutating func parseParameters() throws(TemplateError) -> [(
        name: String, standard: TemplateExpression?
    )] {
        var parameters: [(name: String, standard: TemplateExpression?)] = []
        try expect(.leftParenthesis)
        while !isAt(.rightParenthesis) {
            if !parameters.isEmpty { try expect(.comma) }
            let name = try expectName()
            try checkAssignable(name)
            if take(.assign) {
                parameters.append((name, try parseExpression()))
            } else if parameters.last?.standard != nil {
                throw failure("a parameter without a default behind one with a default")
            } else {
                parameters.append((name, nil))
            }
        }
        skip()
        return parameters
    }

    private mutating func parseCallBlock(line: Int) throws(TemplateError) -> TemplateStatement.Kind
    {
        let parameters = isAt(.leftParenthesis) ? try parseParameters() : []
        let call = try parseExpression()
        guard case .call = call.kind else { throw failure("a call was expected", line: line) }
        let start = position
        let body = try parseBlock("endcall")
        return .callBlock(call, macro(name: "caller", parameters, body, from: start))
    }

    // MARK: Targets

    /// What a value is assigned to: names, with commas between them for tuples.
    private mutating func parseTarget(
        end: String?
    ) throws(TemplateError) -> TemplateStatement.Target {
        try nested { (parser) throws(TemplateError) in
            var parts: [TemplateStatement.Target] = []
            var isTuple = false
            while true {
                if parser.isAt(.leftParenthesis) {
                    parser.skip()
                    parts.append(try parser.parseTarget(end: nil))
                    try parser.expect(.rightParenthesis)
                } else {
                    let name = try parser.expectName()
                    if end == nil, parser.take(.dot) {
                        parts.append(.attribute(of: name, try parser.expectName()))
                    } else {
                        try parser.checkAssignable(name)
                        parts.append(.name(name))
                    }
                }
                guard parser.isAt(.comma) else { break }
                isTuple = true
                parser.skip()
                let isAtEnd = end.map { parser.isAt($0) } ?? parser.isAt(.assign)
                if isAtEnd || parser.isAt(.rightParenthesis) { break }
            }
            return isTuple ? .tuple(parts) : parts[0]
        }
    }

    private func checkAssignable(_ name: String) throws(TemplateError) {
        if ["true", "false", "none", "True", "False", "None"].contains(name) {
            throw failure("'\(name)' cannot be assigned to")
        }
    }
}
