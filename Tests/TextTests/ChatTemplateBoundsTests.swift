import Foundation
import Testing

@testable import Text

/// Whatever a template says, its rendering ends within the bounds, and tells where and why.
@Suite("Chat templates within bounds")
struct ChatTemplateBoundsTests {
    private func fault(
        _ source: String, _ variables: [String: TemplateValue] = [:],
        limits: TemplateLimits = TemplateLimits()
    ) -> TemplateFault? {
        do {
            _ = try ChatTemplate(source).render(
                variables, clock: TemplateCases.clock, limits: limits)
            return nil
        } catch {
            return error.fault
        }
    }

    private func isLimit(_ fault: TemplateFault?) -> Bool {
        if case .limit? = fault { return true }
        return false
    }

    static let greedySources = [
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 1000000000000 }}",
        "{{ [1] * 1000000000000 }}",
        "{% set ns = namespace(s='x') %}{% for i in range(1000) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(1000) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s.replace('x', 'xxxxxxxxxx') %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s=[]) %}{% for i in range(99999) %}{% set ns.s = [ns.s] %}{% endfor %}",
        "{% set ns = namespace(s=[]) %}{% for i in range(99999) %}{% set ns.s = {'a': ns.s} %}{% endfor %}",
        "{% set ns = namespace(s=[]) %}{% for i in range(99999) %}{% set ns.s = [ns.s] | select %}{% endfor %}",
        "{% set ns = namespace(s=[]) %}{% for i in range(99999) %}{% set ns.s = [[ns.s].index] %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s | tojson }}",
        "{% set ns = namespace(s=[1], t=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.s == ns.t }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for i in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
        "{% macro m() %}{{ caller() }}{% endmacro %}{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ n() }}",
        "{{ 9223372036854775807 + 1 }}", "{{ 2 ** 64 }}", "{{ -9223372036854775807 - 2 }}",
        "{{ -9223372036854775807 * 2 }}", "{{ 'a'.ljust(9223372036854775807) }}",
        "{{ 'a' | center(99999999999) }}", "{{ range(-9223372036854775807, 9223372036854775807) }}",
        "{{ 'a' | indent(99999999) }}", "{{ [1] | tojson(indent=99999999) }}",
        "{{ strftime_now('%999999d') }}", "{{ strftime_now('x' * 1000) }}",
        "{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}",
    ]

    @Test("greedy templates are stopped", arguments: greedySources)
    func greedySource(_ source: String) {
        var limits = TemplateLimits()
        limits.steps = 1_000_000
        let fault = fault(source, limits: limits)
        #expect(isLimit(fault), "\(String(describing: fault))")
    }

    @Test("deep sources are refused")
    func deepSources() {
        let count = 50_000
        let sources = [
            String(repeating: "(", count: count) + String(repeating: ")", count: count),
            String(repeating: "[", count: count) + String(repeating: "]", count: count),
            String(repeating: "{'a':", count: count) + String(repeating: "}", count: count),
            String(repeating: "not ", count: count) + "1",
            String(repeating: "-", count: count) + "1",
            "1" + String(repeating: " + 1", count: count),
            "1" + String(repeating: ".a", count: count),
            "1" + String(repeating: " | upper", count: count),
            "1" + String(repeating: " if 1 else 1", count: count),
            "a" + String(repeating: "(1)", count: count),
            "a" + String(repeating: "[1]", count: count),
            "1" + String(repeating: " and 1", count: count),
        ]
        for source in sources {
            #expect(isLimit(fault("{{ \(source) }}")), "\(source.prefix(20))")
        }
        for tag in ["if 1", "for i in x", "macro m()", "filter upper", "generation", "set x"] {
            let source = String(repeating: "{% \(tag) %}", count: 20_000)
            #expect(isLimit(fault(source)), "\(tag)")
        }
        #expect(isLimit(fault(String(repeating: "x", count: TemplateLimits.source + 1))))
    }

    @Test("wide sources are fine")
    func wideSources() throws {
        let count = 20_000
        let elements = try ChatTemplate(
            "{{ [\(String(repeating: "1,", count: count))] | length }}"
        ).render([:])
        #expect(elements == String(count))
        let parts = try ChatTemplate("{{ 'a'\(String(repeating: " ~ 'a'", count: count - 1)) }}")
            .render([:])
        #expect(parts.utf8.count == count)
    }

    @Test("many messages are fine")
    func manyMessages() throws {
        let template = try ChatTemplate(
            "{% for m in messages %}{{ '<' + m.role + '>' + m['content'] | trim }}{% if loop.last %}end{% endif %}{% endfor %}"
        )
        var message = TemplateDictionary()
        try message.set(.text("role"), to: .text("user"))
        try message.set(.text("content"), to: .text(" hello "))
        let messages = try TemplateValue.list(
            Array(repeating: .dictionary(message), count: 100_000))
        let text = try template.render(["messages": messages])
        #expect(text.utf8.count == 100_000 * 11 + 3)
    }

    @Test("errors tell the line")
    func lines() {
        func line(_ source: String) -> Int? {
            do {
                _ = try ChatTemplate(source).render([:])
                return nil
            } catch { return error.line }
        }
        #expect(line("a\nb\n{{ x.y }}") == 3)
        #expect(line("a\r\nb\r\n\n{{ 'a' + 1\n\n }}") == 4)
        #expect(line("{# a\n\n#}\n{% if %}") == 4)
        #expect(line("a\n{{ 'x\ny' }}{{ raise_exception('no') }}") == 3)
        #expect(line("\n\n{% for i in [1] %}\n{{ i / 0 }}\n{% endfor %}") == 4)
        #expect(line("{% raw %}\n\n{% endraw %}\n{{ 1 + }}") == 4)
    }

    @Test("mutated templates always end", .enabled(if: TestData.hasData))
    func mutations() throws {
        let names = try FileManager.default.contentsOfDirectory(
            atPath: "\(TestData.data)/data/templates"
        ).filter { $0.hasSuffix(".jinja") }.sorted()
        #expect(names.count >= 8)
        let sources = try names.map { try TestData.bytes("\(TestData.data)/data/templates/\($0)") }
        let variables: [String: TemplateValue] = [
            "messages": try TemplateValue(
                json: Array(
                    #"[{"role": "system", "content": "s"}, {"role": "user", "content": "é<>"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "123456789", "function": {"name": "f", "arguments": {"a": [1, 2.5, null]}}}]}, {"role": "tool", "content": "r"}]"#
                        .utf8)),
            "tools": try TemplateValue(
                json: Array(
                    #"[{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}]"#
                        .utf8)),
            "add_generation_prompt": .bool(true), "bos_token": .text("<s>"),
        ]
        var limits = TemplateLimits()
        limits.steps = 20_000
        limits.bytes = 200_000
        var random = SeededGenerator(seed: 11)
        var rendered = 0
        for _ in 0..<4_000 {
            var bytes = sources[Int.random(in: 0..<sources.count, using: &random)]
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                Self.mutate(&bytes, sources, &random)
            }
            let source = String(decoding: bytes, as: UTF8.self)
            do throws(TemplateError) {
                let text = try ChatTemplate(source).render(
                    variables, clock: TemplateCases.clock, limits: limits)
                #expect(text.utf8.count <= limits.bytes)
                rendered += 1
            } catch {
                #expect(error.line >= 1 && !error.description.isEmpty)
            }
        }
        // Some mutations leave a template that works.
        #expect(rendered > 100)
    }

    private static let fragments = [
        "{{", "}}", "{%", "%}", "{#", "#}", "-%}", "{%-", "|", "is", "not", "[", "]", "(", ")", "{",
        "}",
        "loop", "messages", "for x in messages", "endfor", "if", "endif", "else", "~", "**", "//",
        "1e9",
        "99999999999999999999", "'", "\"", "\\", "namespace(a=1)", "[::-1]", "* 1000", "tojson",
        "recursive",
        "loop(messages)", "range(9)", "caller()", "\u{0}", "é", "{% raw %}", "{% break %}",
        "{% macro m(a) %}",
        "{% endmacro %}", "{% set x = x ~ x %}", ".items()", "__class__", "%", ":",
    ].map { Array($0.utf8) }

    private static func mutate(
        _ bytes: inout [UInt8], _ sources: [[UInt8]], _ random: inout SeededGenerator
    ) {
        let start = Int.random(in: 0...bytes.count, using: &random)
        let end = min(bytes.count, start + Int.random(in: 0...12, using: &random))
        switch Int.random(in: 0..<5, using: &random) {
        case 0: bytes.removeSubrange(start..<end)
        case 1:
            let fragment = fragments.randomElement(using: &random) ?? []
            bytes.insert(contentsOf: fragment, at: start)
        case 2:
            let fragment = fragments.randomElement(using: &random) ?? []
            bytes.replaceSubrange(start..<end, with: fragment)
        case 3:
            let other = sources.randomElement(using: &random) ?? []
            let from = Int.random(in: 0...other.count, using: &random)
            bytes.insert(
                contentsOf: other[from..<min(other.count, from + 80)], at: start)
        default:
            if start < bytes.count { bytes[start] = UInt8.random(in: 0...255, using: &random) }
        }
    }
}

/// Where a checkpoint keeps its templates.
@Suite("Chat templates of checkpoints")
struct CheckpointTemplateTests {
    private func folder(_ files: [String: String]) throws -> String {
        let path = NSTemporaryDirectory() + "templates-" + UUID().uuidString
        for (name, text) in files {
            let file = URL(fileURLWithPath: "\(path)/\(name)")
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        return path
    }

    @Test("a string, a list, a file, none")
    func sources() throws {
        let config =
            #"{"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "pad_token": null, "chat_template": "#
        let one = try folder(["tokenizer_config.json": config + #""A"}"#])
        let list = try folder([
            "tokenizer_config.json": config
                + #"[{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}]}"#
        ])
        let file = try folder([
            "tokenizer_config.json": config + #""A"}"#, "chat_template.jinja": "F",
            "additional_chat_templates/tool_use.jinja": "U",
        ])
        let bare = try folder(["config.json": "{}"])
        defer {
            for path in [one, list, file, bare] {
                try? FileManager.default.removeItem(atPath: path)
            }
        }
        let first = try CheckpointTemplates(folder: one)
        #expect(first.source(hasTools: true) == "A" && first.source(hasTools: false) == "A")
        #expect(first.specialTokens.keys.sorted() == ["bos_token", "eos_token"])
        let text = try ChatTemplate("{{ bos_token }}{{ eos_token }}").render(first.specialTokens)
        #expect(text == "<s></s>")
        let second = try CheckpointTemplates(folder: list)
        #expect(second.source(hasTools: true) == "T" && second.source(hasTools: false) == "D")
        let third = try CheckpointTemplates(folder: file)
        #expect(third.source(hasTools: true) == "U" && third.source(hasTools: false) == "F")
        let none = try CheckpointTemplates(folder: bare)
        #expect(none.source(hasTools: false) == nil && none.specialTokens.isEmpty)
    }

    @Test(
        "what is no template is refused", arguments: ["[]", "3", #"[{"name": "a"}]"#, "{", "true"])
    func broken(value: String) throws {
        let path = try folder(["tokenizer_config.json": #"{"chat_template": \#(value)}"#])
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(throws: CheckpointTemplateError.self) { try CheckpointTemplates(folder: path) }
    }
}
