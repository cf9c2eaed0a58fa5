import Foundation
import Testing

@testable import Text

/// Results equal to those of jinja2, set up as transformers does (Tests/Reference/templates_reference.py).
@Suite("Chat templates against jinja2", .enabled(if: TemplateCases.areThere))
struct ChatTemplateReferenceTests {
    @Test("every template, every conversation")
    func conversations() throws {
        let cases = try TemplateCases.document("conversations.json").root
        var templates: [String: ChatTemplate] = [:]
        var differences = 0
        var count = 0
        for index in cases.elements {
            let item = JSONValue(document: cases.document, index: index)
            let name = try #require(item["template"]?.string)
            let path = "\(TestData.data)/data/templates/\(name)"
            if templates[name] == nil {
                let source = String(decoding: try TestData.bytes(path), as: UTF8.self)
                templates[name] = try ChatTemplate(source)
            }
            let template = try #require(templates[name])
            let variables = try TemplateCases.variables(try #require(item["variables"]))
            let outcome = TemplateCases.outcome { () throws(TemplateError) in
                try template.render(variables, clock: TemplateCases.clock)
            }
            let conversation = item["conversation"]?.string ?? ""
            count += 1
            if let difference = TemplateCases.difference(outcome, item) {
                differences += 1
                if differences <= 10 { Issue.record("\(name), \(conversation): \(difference)") }
            }
        }
        #expect(count >= 1500 && templates.count >= 8)
        #expect(differences == 0)
    }

    @Test("the language, part by part")
    func language() throws {
        let document = try TemplateCases.document("language.json").root
        let variables = try TemplateCases.variables(try #require(document["variables"]))
        let cases = try #require(document["cases"])
        var count = 0
        for index in cases.elements {
            let item = JSONValue(document: cases.document, index: index)
            let source = try #require(item["source"]?.string)
            let outcome = TemplateCases.outcome { () throws(TemplateError) in
                try ChatTemplate(source).render(variables, clock: TemplateCases.clock)
            }
            count += 1
            if let difference = TemplateCases.difference(outcome, item) {
                Issue.record("\(source.debugDescription): \(difference)")
            }
        }
        #expect(count >= 200)
    }
}

/// What Tests/Reference/templates_reference.py wrote.
enum TemplateCases {
    private static let folder =
        TestData.environment["MINIMA_REFERENCE"].map { "\($0)/../templates" }
        ?? "\(TestData.root)/.build/reference/templates"

    static let areThere =
        TestData.hasData
        && TestData.available(
            "\(folder)/language.json", variable: "MINIMA_REFERENCE",
            required: "MINIMA_REQUIRE_REFERENCE")

    /// The time at which the reference was made to believe itself.
    static let clock = TemplateClock.fixed(at: 1_795_320_306)

    static func document(_ name: String) throws -> JSONDocument {
        try JSONDocument(try TestData.bytes("\(folder)/\(name)"))
    }

    static func variables(_ json: JSONValue) throws -> [String: TemplateValue] {
        var variables: [String: TemplateValue] = [:]
        for key in json.keys {
            let name = try #require(JSONValue(document: json.document, index: key).string)
            variables[name] = try TemplateValue(
                JSONValue(document: json.document, index: key + 1))
        }
        return variables
    }

    static func outcome(
        _ body: () throws(TemplateError) -> String
    ) -> Result<String, TemplateError> {
        do { return .success(try body()) } catch { return .failure(error) }
    }

    /// How an outcome differs from the reference's; nil if it does not.
    static func difference(
        _ outcome: Result<String, TemplateError>, _ expected: JSONValue
    ) -> String? {
        switch outcome {
        case .success(let text):
            guard let wanted = expected["text"]?.string else {
                let error = expected["error"]?.string ?? expected["raised"]?.string ?? ""
                return "gave \(text.debugDescription) instead of failing with \(error)"
            }
            if text.utf8.elementsEqual(wanted.utf8) { return nil }
            return "\n\(text.debugDescription)\ninstead of\n\(wanted.debugDescription)"
        case .failure(let error):
            if let wanted = expected["raised"]?.string {
                return error.fault == .raised(wanted) ? nil : "\(error) instead of \(wanted)"
            }
            if expected["error"] != nil {
                if case .raised = error.fault { return "raised \(error)" }
                return nil
            }
            return
                "failed: \(error), instead of \(expected["text"]?.string?.debugDescription ?? "")"
        }
    }
}
