/// Builds a template's statements from its tokens: the grammar of Jinja 3.1, expressions.
///
/// Nesting is bounded, so that neither parsing nor evaluation nor the release of the tree can exhaust
/// the stack.
struct TemplateParser {
    var tokens: [TemplateToken]
    var position = 0
    private var depth = 0

    /// - Parameter tokens: end with `.end`.
    init(_ tokens: [TemplateToken]) { self.tokens = tokens }

    // MARK: Tokens

    var current: TemplateToken { tokens[position] }
    var following: TemplateToken { tokens[min(position + 1, tokens.count - 1)] }

    mutating func skip() { if position + 1 < tokens.count { position += 1 } }

    func isAt(_ symbol: TemplateToken.Symbol) -> Bool { current.kind == .symbol(symbol) }
    func isAt(_ name: String) -> Bool { current.kind == .name(name) }

    mutating func take(_ symbol: TemplateToken.Symbol) -> Bool {
        guard isAt(symbol) else { return false }
        skip()
        return true
    }

    mutating func take(_ name: String) -> Bool {
        guard isAt(name) else { return false }
        skip()
        return true
    }

    mutating func expect(_ symbol: TemplateToken.Symbol) throws(TemplateError) {
        guard take(symbol) else { throw unexpected("'\(symbol.rawValue)'") }
    }

    mutating func expect(_ kind: TemplateToken.Kind, _ what: String) throws(TemplateError) {
        guard current.kind == kind else { throw unexpected(what) }
        skip()
    }

    mutating func expectName() throws(TemplateError) -> String {
        guard case .name(let name) = current.kind else { throw unexpected("a name") }
        skip()
        return name
    }

    func unexpected(_ wanted: String) -> TemplateError {
        failure("\(wanted) was expected, not \(current.description)")
    }

    func failure(_ cause: String, line: Int? = nil) -> TemplateError {
        TemplateError(fault: .syntax(cause), line: line ?? current.line)
    }

    /// Runs `body` one level deeper.
    mutating func nested<Value>(
        _ body: (inout TemplateParser) throws(TemplateError) -> Value
    ) throws(TemplateError) -> Value {
        guard depth < TemplateLimits.nesting else {
            throw TemplateError(
                fault: .limit("nested deeper than \(TemplateLimits.nesting)"), line: current.line)
        }
        depth += 1
        defer { depth -= 1 }
        return try body(&self)
    }

    private func make(
        _ kind: TemplateExpression.Kind, _ line: Int, _ parts: TemplateExpression...
    ) throws(TemplateError) -> TemplateExpression {
        try TemplateExpression(kind, line: line, over: parts)
    }

    // MARK: Operators, from the loosest to the tightest

    mutating func parseExpression(
        allowsChoice: Bool = true
    ) throws(TemplateError) -> TemplateExpression {
        try nested { (parser) throws(TemplateError) in
            allowsChoice ? try parser.parseChoice() : try parser.parseOr()
        }
    }

    private mutating func parseChoice() throws(TemplateError) -> TemplateExpression {
        var result = try parseOr()
        while isAt("if") {
            let line = current.line
            skip()
            let condition = try parseOr()
            var otherwise: TemplateExpression?
            if take("else") { otherwise = try parseExpression() }
            result = try TemplateExpression(
                .choice(condition: condition, then: result, otherwise: otherwise), line: line,
                over: [condition, result] + (otherwise.map { [$0] } ?? []))
        }
        return result
    }

    private mutating func parseOr() throws(TemplateError) -> TemplateExpression {
        var left = try parseAnd()
        while isAt("or") {
            let line = current.line
            skip()
            let right = try parseAnd()
            left = try make(.or(left, right), line, left, right)
        }
        return left
    }

    private mutating func parseAnd() throws(TemplateError) -> TemplateExpression {
        var left = try parseNot()
        while isAt("and") {
            let line = current.line
            skip()
            let right = try parseNot()
            left = try make(.and(left, right), line, left, right)
        }
        return left
    }

    private mutating func parseNot() throws(TemplateError) -> TemplateExpression {
        guard isAt("not") else { return try parseComparison() }
        let line = current.line
        skip()
        let operand = try nested { (parser) throws(TemplateError) in try parser.parseNot() }
        return try make(.not(operand), line, operand)
    }

    private static let comparisons: [TemplateToken.Symbol: TemplateExpression.Comparison] = [
        .equal: .equal, .notEqual: .notEqual, .less: .less, .lessOrEqual: .lessOrEqual,
        .greater: .greater, .greaterOrEqual: .greaterOrEqual,
    ]

    private mutating func parseComparison() throws(TemplateError) -> TemplateExpression {
        let line = current.line
        let first = try parseSum()
        var rest: [(TemplateExpression.Comparison, TemplateExpression)] = []
        while true {
            if case .symbol(let symbol) = current.kind, let kind = Self.comparisons[symbol] {
                skip()
                rest.append((kind, try parseSum()))
            } else if take("in") {
                rest.append((.contained, try parseSum()))
            } else if isAt("not"), following.kind == .name("in") {
                skip()
                skip()
                rest.append((.notContained, try parseSum()))
            } else {
                break
            }
        }
        if rest.isEmpty { return first }
        return try TemplateExpression(
            .comparison(first, rest), line: line, over: [first] + rest.map(\.1))
    }

    private mutating func parseSum() throws(TemplateError) -> TemplateExpression {
        var left = try parseConcatenation()
        while isAt(.plus) || isAt(.minus) {
            let line = current.line
            let operation: TemplateExpression.Operation = isAt(.plus) ? .add : .subtract
            skip()
            let right = try parseConcatenation()
            left = try make(.binary(operation, left, right), line, left, right)
        }
        return left
    }

    private mutating func parseConcatenation() throws(TemplateError) -> TemplateExpression {
        let line = current.line
        var parts = [try parseProduct()]
        while take(.tilde) { parts.append(try parseProduct()) }
        if parts.count == 1 { return parts[0] }
        return try TemplateExpression(.concatenation(parts), line: line, over: parts)
    }

    private static let products: [TemplateToken.Symbol: TemplateExpression.Operation] = [
        .times: .multiply, .divide: .divide, .floorDivide: .floorDivide, .modulo: .modulo,
    ]

    private mutating func parseProduct() throws(TemplateError) -> TemplateExpression {
        var left = try parsePower()
        while case .symbol(let symbol) = current.kind, let operation = Self.products[symbol] {
            let line = current.line
            skip()
            let right = try parsePower()
            left = try make(.binary(operation, left, right), line, left, right)
        }
        return left
    }

    private mutating func parsePower() throws(TemplateError) -> TemplateExpression {
        var left = try parseUnary(withFilters: true)
        while isAt(.power) {
            let line = current.line
            skip()
            let right = try parseUnary(withFilters: true)
            left = try make(.binary(.power, left, right), line, left, right)
        }
        return left
    }

    private mutating func parseUnary(
        withFilters: Bool
    ) throws(TemplateError) -> TemplateExpression {
        let line = current.line
        var result: TemplateExpression
        if isAt(.minus) || isAt(.plus) {
            let isNegative = isAt(.minus)
            skip()
            let operand = try nested { (parser) throws(TemplateError) in
                try parser.parseUnary(withFilters: false)
            }
            result = try make(isNegative ? .negative(operand) : .positive(operand), line, operand)
        } else {
            result = try parsePrimary()
        }
        result = try parsePostfix(result)
        return withFilters ? try parseFilters(result) : result
    }

    // MARK: Primaries

    mutating func parsePrimary() throws(TemplateError) -> TemplateExpression {
        let token = current
        switch token.kind {
        case .name(let name):
            skip()
            switch name {
            case "true", "True": return try make(.constant(.bool(true)), token.line)
            case "false", "False": return try make(.constant(.bool(false)), token.line)
            case "none", "None": return try make(.constant(.none), token.line)
            default: return try make(.name(name), token.line)
            }
        case .string(var text):
            skip()
            while case .string(let more) = current.kind {
                text.append(more)
                skip()
            }
            return try make(.constant(.string(text)), token.line)
        case .integer(let value):
            skip()
            return try make(.constant(.int(value)), token.line)
        case .float(let value):
            skip()
            return try make(.constant(.float(value)), token.line)
        case .symbol(.leftParenthesis):
            skip()
            let result = try parseTuple(isInParentheses: true)
            try expect(.rightParenthesis)
            return result
        case .symbol(.leftBracket): return try parseList()
        case .symbol(.leftBrace): return try parseDictionary()
        default: throw failure("unexpected \(token.description)")
        }
    }

    /// One expression, or several with commas between them.
    /// - Parameter end: a name that ends the tuple as a closing mark does.
    mutating func parseTuple(
        allowsChoice: Bool = true, isInParentheses: Bool = false, end: String? = nil
    ) throws(TemplateError) -> TemplateExpression {
        let line = current.line
        var parts: [TemplateExpression] = []
        var isTuple = false
        while true {
            if !parts.isEmpty { try expect(.comma) }
            if isAtTupleEnd || end.map({ isAt($0) }) == true { break }
            parts.append(try parseExpression(allowsChoice: allowsChoice))
            if !isAt(.comma) { break }
            isTuple = true
        }
        if !isTuple {
            if let only = parts.first { return only }
            if !isInParentheses { throw unexpected("an expression") }
        }
        return try TemplateExpression(.tuple(parts), line: line, over: parts)
    }

    private var isAtTupleEnd: Bool {
        switch current.kind {
        case .variableEnd, .blockEnd, .symbol(.rightParenthesis): true
        default: false
        }
    }

    private mutating func parseList() throws(TemplateError) -> TemplateExpression {
        let line = current.line
        skip()
        var parts: [TemplateExpression] = []
        while !isAt(.rightBracket) {
            if !parts.isEmpty { try expect(.comma) }
            if isAt(.rightBracket) { break }
            parts.append(try parseExpression())
        }
        skip()
        return try TemplateExpression(.list(parts), line: line, over: parts)
    }

    private mutating func parseDictionary() throws(TemplateError) -> TemplateExpression {
        let line = current.line
        skip()
        var entries: [(key: TemplateExpression, value: TemplateExpression)] = []
        while !isAt(.rightBrace) {
            if !entries.isEmpty { try expect(.comma) }
            if isAt(.rightBrace) { break }
            let key = try parseExpression()
            try expect(.colon)
            entries.append((key, try parseExpression()))
        }
        skip()
        return try TemplateExpression(
            .dictionary(entries), line: line, over: entries.flatMap { [$0.key, $0.value] })
    }
}
