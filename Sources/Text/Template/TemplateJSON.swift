/// JSON to template values, and back as `json.dumps` writes it.
extension TemplateValue {
    /// Reads a JSON text (messages, tools, template arguments).
    package init(json bytes: [UInt8]) throws(TemplateInputError) {
        do {
            self = try TemplateValue(JSONDocument(bytes).root)
        } catch {
            throw TemplateInputError(offset: error.offset, cause: error.cause)
        }
    }

    init(_ json: JSONValue) throws(JSONError) {
        switch json.kind {
        case .null: self = .none
        case .true: self = .bool(true)
        case .false: self = .bool(false)
        case .string: self = .text(json.string ?? "")
        case .number: self = Self.number(json)
        case .array:
            var elements: [TemplateValue] = []
            for index in json.elements {
                elements.append(
                    try TemplateValue(JSONValue(document: json.document, index: index)))
            }
            self = try Self.checked { () throws(TemplateFault) in try .list(elements) }
        case .object:
            var dictionary = TemplateDictionary()
            for index in json.keys {
                let key = JSONValue(document: json.document, index: index).string ?? ""
                let value = try TemplateValue(
                    JSONValue(document: json.document, index: index + 1))
                try Self.checked { () throws(TemplateFault) in
                    try dictionary.set(.text(key), to: value)
                }
            }
            self = .dictionary(dictionary)
        }
    }

    private static func checked<Value>(
        _ body: () throws(TemplateFault) -> Value
    ) throws(JSONError) -> Value {
        do { return try body() } catch {
            throw JSONError(offset: 0, cause: error.description)
        }
    }

    private static func number(_ json: JSONValue) -> TemplateValue {
        if let value = json.int { return .int(value) }
        let text = json.numberText ?? "0"
        if let value = Int(text) { return .int(value) }
        if text.contains(where: { ".eE".contains($0) }) { return .float(Double(text) ?? 0) }
        return .large(text)
    }
}

/// JSON for a template that cannot be read.
package struct TemplateInputError: Error, Equatable, CustomStringConvertible {
    package let offset: Int
    package let cause: String

    package var description: String { "JSON, byte \(offset): \(cause)" }
}

/// What `tojson` was asked for; the defaults are those of `json.dumps`, but for `ensureASCII`.
struct TemplateJSONStyle {
    var ensureASCII = false
    /// What one level is indented by; nil: all on one line.
    var indent: [UInt8]?
    var itemSeparator: [UInt8] = Array(", ".utf8)
    var keySeparator: [UInt8] = Array(": ".utf8)
    var sortsKeys = false
}

extension TemplatePrinter {
    mutating func writeJSON(
        _ value: TemplateValue, _ style: TemplateJSONStyle, level: Int = 0
    ) throws(TemplateFault) {
        switch value {
        case .none: try write("null".utf8)
        case .bool(let value): try write((value ? "true" : "false").utf8)
        case .int, .large: try represent(value)
        case .float(let number): try write(Self.jsonNumber(number).utf8)
        case .string(let text): try writeJSON(text, style)
        case .list(let list) where list.kind != .view:
            try write("[".utf8)
            for (index, element) in list.elements.enumerated() {
                try separate(index, style, level: level)
                try writeJSON(element, style, level: level + 1)
            }
            if !list.elements.isEmpty { try breakLine(style, level: level) }
            try write("]".utf8)
        case .dictionary(let dictionary):
            try writeJSON(dictionary, style, level: level)
        default: throw .type("a \(value.typeName) is not JSON")
        }
    }

    private mutating func writeJSON(
        _ dictionary: TemplateDictionary, _ style: TemplateJSONStyle, level: Int
    ) throws(TemplateFault) {
        var entries: [(key: TemplateText, value: TemplateValue)] = []
        for (key, value) in dictionary.entries { entries.append((try Self.jsonKey(key), value)) }
        if style.sortsKeys { entries.sort { $0.key < $1.key } }
        try write("{".utf8)
        for (index, entry) in entries.enumerated() {
            try separate(index, style, level: level)
            try writeJSON(entry.key, style)
            try write(style.keySeparator)
            try writeJSON(entry.value, style, level: level + 1)
        }
        if !entries.isEmpty { try breakLine(style, level: level) }
        try write("}".utf8)
    }

    private mutating func separate(
        _ index: Int, _ style: TemplateJSONStyle, level: Int
    ) throws(TemplateFault) {
        if index > 0 { try write(style.itemSeparator) }
        try breakLine(style, level: level + 1)
    }

    private mutating func breakLine(
        _ style: TemplateJSONStyle, level: Int
    ) throws(TemplateFault) {
        guard let indent = style.indent else { return }
        try write("\n".utf8)
        for _ in 0..<level { try write(indent) }
    }

    private static func jsonKey(_ key: TemplateValue) throws(TemplateFault) -> TemplateText {
        switch key {
        case .string(let text): text
        case .none: TemplateText("null")
        case .bool(let value): TemplateText(value ? "true" : "false")
        case .float(let number): TemplateText(jsonNumber(number))
        case .int(let value): TemplateText(String(value))
        default: throw .type("a \(key.typeName) is no key of JSON")
        }
    }

    private static func jsonNumber(_ number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Infinity" : "Infinity" }
        return decimal(number)
    }

    private mutating func writeJSON(
        _ text: TemplateText, _ style: TemplateJSONStyle
    ) throws(TemplateFault) {
        var result: [UInt8] = [UInt8(ascii: "\"")]
        for scalar in text.string.unicodeScalars {
            switch scalar {
            case "\"": result.append(contentsOf: "\\\"".utf8)
            case "\\": result.append(contentsOf: "\\\\".utf8)
            case "\n": result.append(contentsOf: "\\n".utf8)
            case "\r": result.append(contentsOf: "\\r".utf8)
            case "\t": result.append(contentsOf: "\\t".utf8)
            case "\u{8}": result.append(contentsOf: "\\b".utf8)
            case "\u{C}": result.append(contentsOf: "\\f".utf8)
            default:
                if scalar.value < 0x20 || style.ensureASCII && scalar.value > 0x7E {
                    for unit in UTF16.encode(scalar) ?? .init() {
                        result.append(contentsOf: "\\u".utf8)
                        result.append(
                            contentsOf: Self.hexadecimal(UInt32(unit), digits: 4).utf8)
                    }
                } else {
                    result.append(contentsOf: UTF8.encode(scalar) ?? .init())
                }
            }
        }
        result.append(UInt8(ascii: "\""))
        try write(result)
    }
}
