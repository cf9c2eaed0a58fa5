/// One token of a template, and the line that it begins on.
struct TemplateToken {
    enum Kind: Equatable {
        case data(TemplateText)
        case blockBegin, blockEnd, variableBegin, variableEnd
        case name(String)
        case string(TemplateText)
        case integer(Int)
        case float(Double)
        case symbol(Symbol)
        case end
    }

    enum Symbol: String, CaseIterable {
        case floorDivide = "//", power = "**", equal = "==", notEqual = "!="
        case greaterOrEqual = ">=", lessOrEqual = "<="
        case plus = "+", minus = "-", times = "*", divide = "/", modulo = "%", tilde = "~"
        case leftBracket = "[", rightBracket = "]", leftParenthesis = "(", rightParenthesis = ")"
        case leftBrace = "{", rightBrace = "}"
        case greater = ">", less = "<", assign = "=", dot = ".", colon = ":", pipe = "|"
        case comma = ",", semicolon = ";"
    }

    let kind: Kind
    let line: Int

    /// The token as messages name it.
    var description: String {
        switch kind {
        case .data: "text"
        case .blockBegin: "'{%'"
        case .blockEnd: "'%}'"
        case .variableBegin: "'{{'"
        case .variableEnd: "'}}'"
        case .name(let name): "'\(name)'"
        case .string: "a string"
        case .integer, .float: "a number"
        case .symbol(let symbol): "'\(symbol.rawValue)'"
        case .end: "the end of the template"
        }
    }
}
