/// A chat template: turns messages into the text that a model was trained to continue.
///
/// The language is Jinja's as transformers sets it up (sandboxed and immutable, `trim_blocks`,
/// `lstrip_blocks`, loop controls, `generation` blocks, `tojson` without HTML escapes), without what
/// needs other templates. Templates come from outside: a rendering ends within `TemplateLimits`, in text
/// or in a `TemplateError`.
package struct ChatTemplate: Sendable {
    private let statements: [TemplateStatement]

    package init(_ source: String) throws(TemplateError) {
        guard source.utf8.count <= TemplateLimits.source else {
            throw TemplateError(
                fault: .limit("a template of more than \(TemplateLimits.source) bytes"), line: 1)
        }
        var lexer = TemplateLexer(source)
        var parser = TemplateParser(try lexer.lex())
        statements = try parser.parseTemplate()
    }

    /// - Parameters:
    ///   - variables: `messages`, `tools` (none where there are none), `add_generation_prompt`,
    ///     `bos_token` and whatever else the request gives.
    ///   - clock: what `strftime_now` tells.
    /// - Returns: the text.
    package func render(
        _ variables: [String: TemplateValue], clock: TemplateClock = .system,
        limits: TemplateLimits = TemplateLimits()
    ) throws(TemplateError) -> String {
        let interpreter = TemplateInterpreter(variables, limits: limits, clock: clock)
        do {
            return String(decoding: try interpreter.render(statements), as: UTF8.self)
        } catch {
            throw TemplateError(fault: error, line: interpreter.line)
        }
    }
}
