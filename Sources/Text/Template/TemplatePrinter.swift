/// Values as text: Python's `str` and `repr`, and `json.dumps` as transformers calls it.
struct TemplatePrinter {
    private(set) var output: [UInt8] = []
    /// More output than this is refused.
    let limit: Int

    init(limit: Int) { self.limit = limit }

    mutating func write(_ bytes: some Collection<UInt8>) throws(TemplateFault) {
        guard output.count + bytes.count <= limit else {
            throw .limit("a text of more than \(limit) bytes")
        }
        output.append(contentsOf: bytes)
    }

    /// Python's `str`.
    mutating func print(_ value: TemplateValue) throws(TemplateFault) {
        switch value {
        case .string(let text): try write(text.bytes)
        case .undefined: break
        default: try represent(value)
        }
    }

    /// Python's `repr`.
    mutating func represent(_ value: TemplateValue) throws(TemplateFault) {
        switch value {
        case .undefined: try write("Undefined".utf8)
        case .none: try write("None".utf8)
        case .bool(let value): try write((value ? "True" : "False").utf8)
        case .int(let value): try write(String(value).utf8)
        case .large(let digits): try write(digits.utf8)
        case .float(let value): try write(Self.decimal(value).utf8)
        case .string(let text): try represent(text)
        case .list(let list): try represent(list)
        case .dictionary(let dictionary):
            try write("{".utf8)
            for (index, entry) in dictionary.entries.enumerated() {
                if index > 0 { try write(", ".utf8) }
                try represent(entry.key)
                try write(": ".utf8)
                try represent(entry.value)
            }
            try write("}".utf8)
        case .namespace, .generator, .function, .loop:
            throw .unsupported("a \(value.typeName) cannot be printed")
        }
    }

    private mutating func represent(_ list: TemplateList) throws(TemplateFault) {
        guard list.kind != .view else { throw .unsupported("a view of a dict cannot be printed") }
        try write((list.kind == .tuple ? "(" : "[").utf8)
        for (index, element) in list.elements.enumerated() {
            if index > 0 { try write(", ".utf8) }
            try represent(element)
        }
        if list.kind == .tuple, list.elements.count == 1 { try write(",".utf8) }
        try write((list.kind == .tuple ? ")" : "]").utf8)
    }

    private mutating func represent(_ text: TemplateText) throws(TemplateFault) {
        let hasSingle = text.bytes.contains(UInt8(ascii: "'"))
        let quote: Unicode.Scalar =
            hasSingle && !text.bytes.contains(UInt8(ascii: "\"")) ? "\"" : "'"
        var result = text.isMarkup ? "Markup(" : ""
        result.unicodeScalars.append(quote)
        for scalar in text.string.unicodeScalars {
            switch scalar {
            case quote, "\\": result += "\\" + String(scalar)
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                if scalar.isPrintable {
                    result.unicodeScalars.append(scalar)
                } else if scalar.value < 0x100 {
                    result += "\\x" + Self.hexadecimal(scalar.value, digits: 2)
                } else if scalar.value < 0x10000 {
                    result += "\\u" + Self.hexadecimal(scalar.value, digits: 4)
                } else {
                    result += "\\U" + Self.hexadecimal(scalar.value, digits: 8)
                }
            }
        }
        result.unicodeScalars.append(quote)
        if text.isMarkup { result += ")" }
        try write(result.utf8)
    }

    static func hexadecimal(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    /// Python's `repr` of a float: the shortest digits that give it again, with an exponent below 1e-4
    /// and from 1e16.
    static func decimal(_ value: Double) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        if value == 0 { return value.sign == .minus ? "-0.0" : "0.0" }
        // Swift's description has the same digits, though not always in the same notation.
        let parts = abs(value).description.split(separator: "e")
        let mantissa = parts[0].split(separator: ".")
        var point = mantissa[0].count + (parts.count == 2 ? Int(parts[1]) ?? 0 : 0)
        var digits = Array((mantissa[0] + (mantissa.count == 2 ? mantissa[1] : "")).utf8)
        while digits.count > 1, digits[0] == 0x30 {
            digits.removeFirst()
            point -= 1
        }
        while digits.count > 1, digits.last == 0x30 { digits.removeLast() }
        let sign = value < 0 ? "-" : ""
        let text = String(decoding: digits, as: UTF8.self)
        let exponent = point - 1
        if exponent < -4 || exponent >= 16 {
            let fraction = digits.count > 1 ? "." + text.dropFirst() : ""
            let magnitude = abs(exponent)
            let padded = magnitude < 10 ? "0\(magnitude)" : String(magnitude)
            return "\(sign)\(text.prefix(1))\(fraction)e\(exponent < 0 ? "-" : "+")\(padded)"
        }
        if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + text }
        if digits.count <= point {
            return sign + text + String(repeating: "0", count: point - digits.count) + ".0"
        }
        return sign + text.prefix(point) + "." + text.dropFirst(point)
    }
}
