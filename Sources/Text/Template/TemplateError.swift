/// Why a chat template could not be read or evaluated, and on which of its lines.
package struct TemplateError: Error, Equatable, CustomStringConvertible {
    package let fault: TemplateFault
    /// Counted from 1.
    package let line: Int

    package var description: String { "chat template, line \(line): \(fault)" }
}

/// The kinds of failure. What the template itself complains of (`raised`) is the request's fault; the
/// rest is the template's, or that of what it was given.
package enum TemplateFault: Error, Equatable, CustomStringConvertible {
    /// Not a template, by Jinja's grammar.
    case syntax(String)
    /// A value that is not there was used as if it were.
    case undefined(String)
    /// An operation on values of the wrong kind, or out of range.
    case type(String)
    /// A Python attribute or a change of a list or a dict, which the sandbox refuses.
    case unsafe(String)
    /// Part of Jinja, or of Python's methods, that is not implemented here.
    case unsupported(String)
    /// Too many steps, too much text, nested too deep.
    case limit(String)
    /// The template called `raise_exception`.
    case raised(String)

    package var description: String {
        switch self {
        case .syntax(let cause), .type(let cause), .undefined(let cause), .unsafe(let cause),
            .unsupported(let cause), .limit(let cause), .raised(let cause):
            cause
        }
    }
}

/// What one rendering may spend.
package struct TemplateLimits: Sendable, Equatable {
    /// Expressions and statements evaluated, elements of lists made, and every 16 bytes of text made.
    package var steps = 10_000_000
    /// Bytes of the output, and of any one text on the way.
    package var bytes = 16 << 20
    /// Elements of any one list.
    package var elements = 1 << 20
    /// Evaluations that are under way at once: expressions, statements and macros within one another.
    package var depth = 250

    package init() {}

    /// Bytes of a template's source.
    static let source = 1 << 20
    /// Lists within lists, expressions within expressions, statements within statements.
    static let nesting = 100
}
