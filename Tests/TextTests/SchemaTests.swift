import Testing

@testable import Text

/// What schemas may say, and what is refused with a reason.
@Suite("Schemas")
struct SchemaTests {
    private func accepts(_ schema: String, _ text: String) throws -> Bool {
        try GrammarTests.grammar(schema).accepts(text.utf8)
    }

    static let refused: [(String, String)] = [
        ("{", "malformed"), ("3", "malformed"), (#"{"type": "strange"}"#, "malformed"),
        (#"{"type": []}"#, "malformed"), (#"{"type": 5}"#, "malformed"),
        (#"{"required": [1]}"#, "malformed"), (#"{"properties": []}"#, "malformed"),
        (#"{"minLength": -1}"#, "malformed"), (#"{"minLength": 1.5}"#, "malformed"),
        (#"{"minLength": "1"}"#, "malformed"), (#"{"enum": 3}"#, "malformed"),
        (##"{"anyOf": []}"#, "malformed"), (#"{"$ref": "#/$defs/none"}"##, "malformed"),
        (#"{"pattern": "("}"#, "malformed"), (#"{"pattern": "a)"}"#, "malformed"),
        (#"{"pattern": "[b-a]"}"#, "malformed"), (#"{"pattern": "*"}"#, "malformed"),
        (#"{"pattern": "[a"}"#, "malformed"), (#"{"pattern": "\\"}"#, "malformed"),
        (#"{"pattern": 1}"#, "malformed"), (#"{"minimum": "1"}"#, "malformed"),
        (#"{"not": {}}"#, "unsupported"), (#"{"if": {}}"#, "unsupported"),
        (#"{"patternProperties": {}}"#, "unsupported"), (#"{"uniqueItems": true}"#, "unsupported"),
        (#"{"minProperties": 1}"#, "unsupported"), (#"{"multipleOf": 2}"#, "unsupported"),
        (#"{"nullable": true}"#, "unsupported"), (##"{"$dynamicRef": "#a"}"##, "unsupported"),
        (#"{"allOf": [{}, {}]}"#, "unsupported"), (#"{"$ref": "http://x"}"#, "unsupported"),
        (##"{"$ref": "#name"}"##, "unsupported"), (#"{"minimum": 0.5}"#, "unsupported"),
        (#"{"enum": [1], "minimum": 0}"#, "unsupported"),
        (#"{"anyOf": [{}], "type": "string"}"#, "unsupported"),
        (#"{"pattern": "(?=a)"}"#, "unsupported"), (#"{"pattern": "\\1"}"#, "unsupported"),
        (#"{"pattern": "a^b"}"#, "unsupported"), (#"{"pattern": "\\bx"}"#, "unsupported"),
        (#"{"pattern": "(a$)"}"#, "unsupported"), (#"{"pattern": "\\p{L}"}"#, "unsupported"),
        (#"{"oneOf": [{"type": "string"}, {"enum": ["a"]}]}"#, "unsupported"),
        (#"{"oneOf": [{"type": "integer"}, {"type": "number"}]}"#, "unsupported"),
        (#"{"oneOf": [{}, {"type": "null"}]}"#, "unsupported"), ("false", "unsatisfiable"),
        (#"{"enum": []}"#, "unsatisfiable"), (#"{"type": "string", "const": 1}"#, "unsatisfiable"),
        (##"{"$ref": "#"}"##, "unsatisfiable"),
        (##"{"anyOf": [{"$ref": "#"}, {"type": "null"}]}"##, "unsatisfiable"),
        (
            ##"{"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}"##,
            "unsatisfiable"
        ),
        (##"{"type": "array", "items": {"$ref": "#"}, "minItems": 1}"##, "unsatisfiable"),
        (#"{"required": ["a"], "additionalProperties": false}"#, "unsatisfiable"),
        (#"{"minLength": 3, "maxLength": 2}"#, "unsatisfiable"),
        (#"{"minItems": 1, "items": false}"#, "unsatisfiable"),
        (#"{"pattern": "^abc$", "maxLength": 2}"#, "unsatisfiable"),
        (#"{"type": "integer", "minimum": 3, "maximum": 2}"#, "unsatisfiable"),
        (#"{"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 4}"#, "unsatisfiable"),
        (#"{"maxItems": 1000000000}"#, "limit"), (#"{"minLength": 1e300}"#, "limit"),
        (#"{"pattern": "(a{1000}){1000}"}"#, "limit"),
        (#"{"pattern": "((a{99}){99}){99}"}"#, "limit"),
        (#"{"pattern": "^(.{0,99}a){1,99}$", "maxLength": 90000}"#, "limit"),
        (#"{"pattern": "a{99999}"}"#, "limit"),
    ]

    @Test("refuses with a reason and a place", arguments: refused)
    func refusedSchema(_ schema: String, _ kind: String) throws {
        do throws(SchemaError) {
            _ = try Grammar(schema: Array(schema.utf8))
            Issue.record("compiled")
        } catch {
            #expect("\(error.fault)".hasPrefix(kind), "\(error)")
            #expect(error.description.contains("schema at"))
        }
    }

    @Test("absurd schemas are refused quickly")
    func absurd() {
        let deep =
            String(repeating: #"{"items":"#, count: 10_000) + "{}"
            + String(repeating: "}", count: 10_000)
        let wide =
            #"{"enum": ["# + (0..<20_000).map(String.init).joined(separator: ",") + "]}"
        let properties =
            #"{"properties": {"#
            + (0..<9_000).map { #""p\#($0)": {"pattern": "^.{99}$"}"# }
            .joined(separator: ",") + "}}"
        let nested = #"{"pattern": ""# + String(repeating: "(", count: 900) + #""}"#
        for schema in [deep, wide, properties, nested] {
            #expect(throws: SchemaError.self) { try Grammar(schema: Array(schema.utf8)) }
        }
    }

    @Test("a place is a JSON pointer")
    func pointers() throws {
        do throws(SchemaError) {
            _ = try Grammar(
                schema: Array(#"{"properties": {"a/b": {"anyOf": [true, {"not": {}}]}}}"#.utf8))
        } catch {
            #expect(error.pointer == "/properties/a~1b/anyOf/1/not")
        }
    }

    @Test("objects: order, optional and further properties")
    func objects() throws {
        let schema =
            #"{"properties": {"a": {"type": "integer"}, "b": {"type": "null"}, "é": true}, "required": ["b"], "additionalProperties": {"type": "boolean"}}"#
        for text in [
            #"{"b":null}"#, #"{"a":1,"b":null}"#, #"{ "a" : 1 ,"b":null,"é":[]}"#,
            #"{"b":null,"c":true}"#, #"{"b":null,"ab":true,"è":false,"":true}"#,
        ] { #expect(try accepts(schema, text), "\(text)") }
        for text in [
            "{}", #"{"b":null,"a":1}"#, #"{"b":null,}"#, #"{"b":null,"c":1}"#, #"{,"b":null}"#,
            #"{"b":null,"b":true}"#, #"{"b":null,"\u0061":true}"#, #"{"a":1 "b":null}"#, "[]",
            "null",
        ] { #expect(try !accepts(schema, text), "\(text)") }
    }

    @Test("oneOf with a discriminator")
    func discriminator() throws {
        let schema =
            ##"{"oneOf": [{"type": "object", "properties": {"kind": {"const": "a"}, "x": {"type": "integer"}}, "required": ["kind"]}, {"$ref": "#/$defs/b"}, {"type": "null"}], "$defs": {"b": {"type": "object", "properties": {"kind": {"enum": ["b", "c"]}}, "required": ["kind"]}}}"##
        #expect(try accepts(schema, #"{"kind":"a","x":3}"#))
        #expect(try accepts(schema, #"{"kind":"c"}"#))
        #expect(try accepts(schema, "null"))
        #expect(try !accepts(schema, #"{"kind":"d"}"#))
        #expect(try !accepts(schema, #"{"kind":"a","x":null}"#))
    }

    @Test("strings are JSON strings: escapes, pairs of surrogates, no control characters")
    func strings() throws {
        for text in [
            #""""#, #""\"\\\/\b\f\n\r\t""#, #""\u0000\uFFFF\ud83d\uDE00""#, #""é日😀""#, "\"\u{7F}\"",
        ] { #expect(try accepts(#"{"type": "string"}"#, text), "\(text)") }
        for text in [
            "\"\n\"", #""\x""#, #""\u12""#, #""\ud83d""#, #""\ud83dx""#, #""\ude00""#, #""a"#,
            #""\ud83d\u0041""#,
        ] { #expect(try !accepts(#"{"type": "string"}"#, text), "\(text)") }
        let broken: [[UInt8]] = [
            [0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
            [0x22, 0xE9, 0x22], [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22],
        ]
        let grammar = try GrammarTests.grammar(#"{"type": "string"}"#)
        for bytes in broken { #expect(try !grammar.accepts(bytes)) }
        // An escape, and a pair of them, is one character.
        let two = #"{"minLength": 2, "maxLength": 2}"#
        #expect(try accepts(two, #""\u0041\ud83d\ude00""#) && accepts(two, #""日é""#))
        #expect(try !accepts(two, #""\ud83d\ude00""#) && !accepts(two, #""abc""#))
    }

    @Test("bounds of numbers, all near the bounds")
    func bounds() throws {
        for (low, high) in [(-12, 7), (0, 0), (5, 105), (-1000, -99), (98, 1002), (-3, 12345)] {
            let schema = #"{"type": "integer", "minimum": \#(low), "maximum": \#(high)}"#
            let grammar = try GrammarTests.grammar(schema)
            for value in (low - 1200)...(high + 1200) {
                let isAccepted = try grammar.accepts(String(value).utf8)
                #expect(isAccepted == (low...high).contains(value), "\(value) in \(low)...\(high)")
            }
        }
        let number = #"{"type": "number", "exclusiveMinimum": 0, "maximum": 2}"#
        for text in ["0.5", "1", "1.999", "2"] { #expect(try accepts(number, text), "\(text)") }
        for text in ["0", "0.0", "-1", "2.5", "2.01", "-0.5", "3"] {
            #expect(try !accepts(number, text), "\(text)")
        }
    }

    @Test("values are nested no deeper than the bound")
    func depth() throws {
        func nested(_ depth: Int) -> String {
            #"{"a":"# + String(repeating: "[", count: depth - 1)
                + String(repeating: "]", count: depth - 1) + "}"
        }
        #expect(try Grammar.jsonObject.accepts(nested(SchemaLimits.nesting).utf8))
        #expect(try !Grammar.jsonObject.accepts(nested(SchemaLimits.nesting + 1).utf8))
    }
}
