/// An expression of a template.
struct TemplateExpression: Sendable {
    indirect enum Kind: Sendable {
        case constant(TemplateValue)
        case name(String)
        case list([TemplateExpression])
        case tuple([TemplateExpression])
        case dictionary([(key: TemplateExpression, value: TemplateExpression)])
        case attribute(TemplateExpression, String)
        case item(TemplateExpression, TemplateExpression)
        case slice(TemplateExpression, [TemplateExpression?])
        case call(TemplateExpression, TemplateCall)
        /// nil: what a filter block or a block of `set` encloses.
        case filter(TemplateExpression?, String, TemplateCall)
        case test(TemplateExpression, String, TemplateCall)
        case not(TemplateExpression)
        case and(TemplateExpression, TemplateExpression)
        case or(TemplateExpression, TemplateExpression)
        case negative(TemplateExpression)
        case positive(TemplateExpression)
        case binary(Operation, TemplateExpression, TemplateExpression)
        case concatenation([TemplateExpression])
        case comparison(TemplateExpression, [(Comparison, TemplateExpression)])
        /// `then if condition else otherwise`.
        case choice(
            condition: TemplateExpression, then: TemplateExpression, otherwise: TemplateExpression?)
    }

    enum Operation: Sendable { case add, subtract, multiply, divide, floorDivide, modulo, power }
    enum Comparison: Sendable {
        case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual, contained, notContained
    }

    let kind: Kind
    let line: Int
    /// Levels of expressions below and including this one.
    let depth: Int

    /// - Parameter parts: the expressions that `kind` holds.
    init(
        _ kind: Kind, line: Int, over parts: [TemplateExpression] = []
    ) throws(TemplateError) {
        self.kind = kind
        self.line = line
        depth = parts.reduce(0) { max($0, $1.depth) } + 1
        guard depth <= TemplateLimits.nesting else {
            throw TemplateError(
                fault: .limit("an expression is nested deeper than \(TemplateLimits.nesting)"),
                line: line)
        }
    }
}

/// The arguments of a call, as written.
struct TemplateCall: Sendable {
    var positional: [TemplateExpression] = []
    var named: [(name: String, value: TemplateExpression)] = []
    /// `*list` and `**dict`.
    var list: TemplateExpression?
    var dictionary: TemplateExpression?

    var parts: [TemplateExpression] {
        positional + named.map(\.value) + [list, dictionary].compactMap { $0 }
    }
}

/// A statement of a template, or text between them.
struct TemplateStatement: Sendable {
    indirect enum Kind: Sendable {
        case text(TemplateText)
        case output(TemplateExpression)
        case branches(
            [(condition: TemplateExpression, body: [TemplateStatement])],
            otherwise: [TemplateStatement])
        case loop(Loop)
        case set(Target, TemplateExpression)
        /// The text of a body, through filters.
        case setBlock(Target, TemplateExpression?, [TemplateStatement])
        case filterBlock(TemplateExpression, [TemplateStatement])
        case macro(Macro)
        /// A call whose callee may call the body back as `caller`.
        case callBlock(TemplateExpression, Macro)
        case with([(Target, TemplateExpression)], [TemplateStatement])
        /// `generation`: a body with a scope of its own.
        case scope([TemplateStatement])
        case breakLoop
        case continueLoop
    }

    indirect enum Target: Sendable {
        case name(String)
        case attribute(of: String, String)
        case tuple([Target])
    }

    struct Loop: Sendable {
        let target: Target
        let sequence: TemplateExpression
        let condition: TemplateExpression?
        let isRecursive: Bool
        let body: [TemplateStatement]
        let otherwise: [TemplateStatement]
    }

    struct Macro: Sendable {
        let name: String
        let parameters: [(name: String, standard: TemplateExpression?)]
        let body: [TemplateStatement]
        /// Whether the body reads the variables that hold surplus arguments, and `caller`.
        let takesList: Bool
        let takesDictionary: Bool
        let takesCaller: Bool
    }

    let kind: Kind
    let line: Int
}
