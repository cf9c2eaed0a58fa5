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
        (#"{"patternProperties": []}"#, "malformed"), (#"{"uniqueItems": true}"#, "unsupported"),
        (#"{"patternProperties": {"(": {}}}"#, "malformed"),
        (#"{"patternProperties": {"(?=a)": {}}}"#, "unsupported"),
        (#"{"patternProperties": {"^a": {}, "b$": {}}}"#, "unsupported"),
        (#"{"patternProperties": {"^\\w$": {}, "^[-é]$": {}}}"#, "unsupported"),
        (#"{"patternProperties": {"^a": {}}, "properties": {"ab": {}}}"#, "unsupported"),
        (#"{"patternProperties": {"^\\w$": {}}, "required": ["é"]}"#, "unsupported"),
        (#"{"patternProperties": {"^(.{0,99}a){1,99}$": {}}}"#, "limit"),
        (#"{"minProperties": 1}"#, "unsupported"),
        (#"{"multipleOf": 0}"#, "malformed"), (#"{"multipleOf": -1}"#, "malformed"),
        (#"{"multipleOf": "2"}"#, "malformed"), (#"{"multipleOf": 5001}"#, "limit"),
        (#"{"multipleOf": 1e-10}"#, "limit"), (#"{"multipleOf": 1e300}"#, "limit"),
        (#"{"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 6}"#, "unsatisfiable"),
        (#"{"multipleOf": 3, "exclusiveMinimum": 5, "exclusiveMaximum": 6}"#, "unsatisfiable"),
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
        (#"{"oneOf": [{}, {"type": "null"}]}"#, "unsupported"),
        (#"{"oneOf": [{"maximum": 5}, {"minimum": 5}]}"#, "unsupported"),
        (#"{"oneOf": [{"pattern": "^a"}, {"pattern": "b$"}]}"#, "unsupported"),
        (#"{"oneOf": [{"pattern": "^\\d+$"}, {"pattern": "^[^a-z]+$"}]}"#, "unsupported"),
        (#"{"oneOf": [{"enum": [1, "a"]}, {"const": 1.0}]}"#, "unsupported"),
        (#"{"oneOf": [{"maxLength": 3}, {"minLength": 3}]}"#, "unsupported"),
        (
            ##"{"oneOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}], "$defs": {"a": {"type": "object", "required": ["n"], "properties": {"n": {"$ref": "#/$defs/a"}}}, "b": {"type": "object", "required": ["n"], "properties": {"n": {"$ref": "#/$defs/b"}}}}}"##,
            "unsupported"
        ), ("false", "unsatisfiable"),
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
        // Each pair of patterns, each name and each character of theirs would have to be looked at.
        let patterns =
            #"{"oneOf": ["#
            + (0..<300).map { #"{"pattern": "^(\\w|\\d|a){0,60}x\#($0)$"}"# }
            .joined(separator: ",") + "]}"
        let names =
            #"{"patternProperties": {"^(.{0,99}a){1,60}$": {}}, "properties": {"#
            + (0..<9_000).map { #""\#($0)\#(String(repeating: "-", count: 90))": {}"# }
            .joined(separator: ",") + "}}"
        let others =
            #"{"patternProperties": {"(\\d|[n-z]).{40}x": {}}}"#
        let trees =
            ##"{"oneOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}], "$defs": {"##
            + ["a", "b"].map { name in
                let fields = (0..<40).map { #""\#($0)""# }
                return #""\#(name)": {"type": "object", "required": ["#
                    + fields.joined(separator: ",") + #"], "properties": {"#
                    + fields.map { ##"\##($0): {"$ref": "#/$defs/\##(name)"}"## }
                    .joined(separator: ",") + "}}"
            }.joined(separator: ",") + "}}"
        for schema in [deep, wide, properties, nested, patterns, names, others, trees] {
            let duration = ContinuousClock().measure {
                #expect(throws: SchemaError.self) { try Grammar(schema: Array(schema.utf8)) }
            }
            #expect(duration < .seconds(20), "\(schema.prefix(80))")
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

    @Test(
        "oneOf of alternatives that exclude one another",
        arguments: [
            (#"[{"type": "integer", "maximum": 4}, {"type": "number", "minimum": 5}]"#, "5.5", "x"),
            (#"[{"exclusiveMaximum": 5}, {"minimum": 5}, {"const": "five"}]"#, "5", "null"),
            (#"[{"pattern": "^a"}, {"pattern": "^[^a]|^$"}]"#, #""b""#, "1"),
            (
                #"[{"pattern": "^\\d+$"}, {"pattern": "^[a-z]+$"}, {"enum": ["É", ""]}]"#, #""12""#,
                #""a1""#
            ),
            (#"[{"maxLength": 2}, {"minLength": 3}, {"type": "null"}]"#, #""abc""#, "0"),
            (#"[{"enum": [1, 2.5]}, {"enum": [2, "1"]}, {"const": true}]"#, "2.5", "3"),
            (#"[{"anyOf": [{"type": "null"}, {"const": "a"}]}, {"enum": ["b", 1]}]"#, #""b""#, "2"),
            (
                #"[{"maxItems": 1}, {"minItems": 2, "items": {"type": "null"}}]"#, "[null,null]",
                "[null,1]"
            ),
            (
                #"[{"prefixItems": [{"const": "a"}], "minItems": 2}, {"prefixItems": [{"const": "b"}], "minItems": 1}]"#,
                #"["b",1]"#, #"["c",1]"#
            ),
            (
                #"[{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"a": {"type": "null"}}}]"#,
                #"{"a":null}"#, #"{"a":1}"#
            ),
            (
                #"[{"properties": {"v": {"properties": {"k": {"const": 1}}, "required": ["k"]}}, "required": ["v"]}, {"properties": {"v": {"properties": {"k": {"const": 2}}, "required": ["k"]}}, "required": ["v"]}]"#,
                #"{"v":{"k":2}}"#, #"{"v":{"k":3}}"#
            ),
        ])
    func alternatives(_ schemas: String, _ good: String, _ bad: String) throws {
        let schema = #"{"oneOf": \#(schemas)}"#
        #expect(try accepts(schema, good) && !accepts(schema, bad))
    }

    @Test(
        "multiples: decimal numbers as they are written, all near the bounds",
        arguments: [
            ("0.01", 1, 100, -2...2), ("0.25", 25, 100, -3...1), ("1.5", 15, 10, -9...20),
            ("2e-1", 2, 10, 0...3), ("3", 3, 1, -50...120), ("1e2", 100, 1, -300...500),
            ("0.07", 7, 100, 1...14),
        ])
    func multiples(_ step: String, _ digits: Int, _ scale: Int, _ range: ClosedRange<Int>) throws {
        let (low, high) = (range.lowerBound, range.upperBound)
        for (type, factor) in [("number", range.count > 20 ? 10 : 1_000), ("integer", 1)] {
            let grammar = try GrammarTests.grammar(
                #"{"type": "\#(type)", "multipleOf": \#(step), "minimum": \#(low), "maximum": \#(high)}"#
            )
            let free = try GrammarTests.grammar(
                #"{"type": "\#(type)", "multipleOf": \#(step)}"#)
            var count = 0
            for number in (low - 3) * factor...(high + 3) * factor {
                // With as few digits as it has.
                var text = "\(abs(number) / factor)"
                if factor > 1, number % factor != 0 {
                    text += ".\(factor + abs(number) % factor)".replacing(".1", with: ".")
                    while text.hasSuffix("0") { text.removeLast() }
                }
                if number < 0 { text = "-" + text }
                // number / factor = m · digits / scale for a whole m.
                let isMultiple = (number * scale).isMultiple(of: digits * factor)
                let isWithin = (low * factor...high * factor).contains(number)
                #expect(try grammar.accepts(text.utf8) == (isMultiple && isWithin), "\(text)")
                #expect(try free.accepts(text.utf8) == isMultiple, "\(text)")
                count += isMultiple ? 1 : 0
            }
            #expect(count > 1)
        }
    }

    @Test(
        "multiples are never written with more zeros than places, signs of nothing or leading zeros"
    )
    func spelledMultiples() throws {
        let schema = #"{"multipleOf": 0.05}"#
        for text in ["0", "0.0", "0.00", "12", "12.5", "12.50", "-0.05"] {
            #expect(try accepts(schema, text), "\(text)")
        }
        for text in ["-0", "-0.00", "00", "01", ".5", "5.", "0.01", "0.050", "1e1", "12.51"] {
            #expect(try !accepts(schema, text), "\(text)")
        }
        let large = #"{"type": "integer", "multipleOf": 7}"#
        #expect(try accepts(large, "70000000000000007") && !accepts(large, "70000000000000008"))
    }

    @Test("properties by patterns of their names")
    func patternProperties() throws {
        let schema =
            #"{"properties": {"id": {"type": "integer"}}, "patternProperties": {"^x-": {"type": "string"}, "^\\d+$": {"type": "boolean"}}, "additionalProperties": {"type": "null"}, "required": ["id", "x-a"]}"#
        for text in [
            #"{"id":1,"x-a":"b"}"#, #"{"id":1,"x-a":"b","x-c":"d","12":true,"y":null,"x":null}"#,
            #"{"id":1,"x-a":"b","":null,"1a":null,"xx-":null}"#,
        ] { #expect(try accepts(schema, text), "\(text)") }
        for text in [
            #"{"id":1}"#, #"{"id":1,"x-a":1}"#, #"{"id":1,"x-a":"b","x-c":null}"#,
            #"{"id":1,"x-a":"b","12":null}"#, #"{"id":1,"x-a":"b","y":true}"#,
            #"{"id":1,"x-a":"b","id":null}"#, #"{"id":1,"x-a":"b","\u0078-":null}"#,
            // What some readings find digits in.
            #"{"id":1,"x-a":"b","٣":null}"#,
        ] { #expect(try !accepts(schema, text), "\(text)") }
        let closed =
            #"{"patternProperties": {"^a|b$": {"type": "null"}}, "additionalProperties": false}"#
        for text in ["{}", #"{"a":null}"#, #"{"xb":null,"ax":null}"#] {
            #expect(try accepts(closed, text), "\(text)")
        }
        for text in [#"{"x":null}"#, #"{"a":1}"#, #"{"a":null,"":null}"#] {
            #expect(try !accepts(closed, text), "\(text)")
        }
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
