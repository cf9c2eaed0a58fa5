import Glibc

/// Jinja's filters: `value | name(...)`. What works on lists stands in the next file.
extension TemplateInterpreter {
    private static let valueFilters: Set<String> = [
        "abs", "capitalize", "center", "count", "d", "default", "e", "escape", "float", "format",
        "indent", "int", "length", "lower", "replace", "round", "safe", "string", "title", "tojson",
        "trim", "truncate", "upper", "wordcount",
    ]
    static let filters = valueFilters.union(listFilters)

    func filter(
        _ name: String, _ value: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        try charge()
        if Self.listFilters.contains(name) { return try filterList(name, value, arguments) }
        switch name {
        case "default", "d":
            let bound = try arguments.bind(["default_value", "boolean"], of: name)
            let replacesFalse = try isTrue(bound[1] ?? .bool(false))
            let isFalse = try !isTrue(value)
            let replaces = value.isUndefined || replacesFalse && isFalse
            return replaces ? bound[0] ?? .text("") : value
        case "tojson": return try json(value, arguments)
        case "int", "float": return try number(name, value, arguments)
        case "round": return try round(value, arguments)
        case "abs":
            if case .float(let number) = value { return .float(Swift.abs(number)) }
            return try (value.number ?? 0) < 0 ? negated(value) : positive(value)
        case "length", "count": return .int(try length(of: value))
        default: return try filterText(name, value, arguments)
        }
    }

    private func length(of value: TemplateValue) throws(TemplateFault) -> Int {
        switch value {
        case .string(let text):
            try charge(text.bytes.count / 16)
            return text.count
        case .list(let list): return list.elements.count
        case .dictionary(let dictionary): return dictionary.count
        case .loop(let loop): return loop.elements.count
        case .undefined: return 0
        default: throw .type("a \(value.typeName) has no length")
        }
    }

    private func filterText(
        _ name: String, _ value: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        var text = try text(of: value)
        switch name {
        case "upper", "lower", "capitalize": return try call(name, of: .string(text), arguments)
        case "string":
            _ = try arguments.bind([], of: name)
            return .string(text)
        case "safe":
            text.isMarkup = true
            return .string(text)
        case "escape", "e": return .string(text.isMarkup ? text : text.escaped)
        case "trim":
            let characters = try arguments.bind(["chars"], of: name)[0].text("chars")
            return .string(text.stripped(.both, of: characters))
        case "replace":
            let bound = try arguments.bind(["old", "new", "count"], required: 2, of: name)
            let old = try self.text(of: bound[0] ?? .none)
            let new = try self.text(of: bound[1] ?? .none)
            return .string(
                try text.replacing(
                    old, with: new, limit: try bound[2].integer("count"), bytes: limits.bytes))
        case "center":
            let width = try arguments.bind(["width"], of: name)[0] ?? .int(80)
            return try call(name, of: .string(text), .init(positional: [width]))
        case "title": return .string(Self.title(text))
        case "wordcount": return .int(text.splitAtSpaces(limit: nil, fromRight: false).count)
        case "format":
            guard arguments.named.isEmpty else { throw .unsupported("'format' with names") }
            return try formatted(text, try .tuple(arguments.positional))
        case "indent": return try indent(text, arguments)
        case "truncate": return try truncate(text, arguments)
        default: throw .unsupported("the filter '\(name)'")
        }
    }

    /// Jinja's own title case: words begin behind blanks, hyphens and opening brackets.
    private static func title(_ text: TemplateText) -> TemplateText {
        var result = ""
        var beginsWord = true
        for scalar in text.string.unicodeScalars {
            let properties = scalar.properties
            result += beginsWord ? properties.uppercaseMapping : properties.lowercaseMapping
            beginsWord =
                TemplateText.isSpace(scalar) || "-({[<".unicodeScalars.contains(scalar)
        }
        return TemplateText(result)
    }

    private func indent(
        _ text: TemplateText, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(["width", "first", "blank"], of: "indent")
        let margin: [UInt8]
        if case .string(let text)? = bound[0] {
            margin = text.bytes
        } else {
            let width = try bound[0].integer("the width") ?? 4
            guard width <= 1000 else { throw .limit("an indentation of more than 1000") }
            margin = Array(repeating: UInt8(ascii: " "), count: max(width, 0))
        }
        let indentsBlank = try isTrue(bound[2] ?? .bool(false))
        var printer = TemplatePrinter(limit: limits.bytes)
        if try isTrue(bound[1] ?? .bool(false)) { try printer.write(margin) }
        var padded = text
        padded.append("\n")
        for (index, line) in padded.lines(keepEnds: false).enumerated() {
            if index > 0 {
                try printer.write("\n".utf8)
                if indentsBlank || !line.isEmpty { try printer.write(margin) }
            }
            try printer.write(line.bytes)
        }
        return .string(TemplateText(bytes: printer.output))
    }

    private func truncate(
        _ text: TemplateText, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(["length", "killwords", "end", "leeway"], of: "truncate")
        let length = try bound[0].integer("length") ?? 255
        let end = try bound[2].text("end") ?? TemplateText("...")
        let leeway = try bound[3].integer("leeway") ?? 5
        guard length >= end.count, length <= limits.bytes, (0...limits.bytes).contains(leeway)
        else {
            throw .type("'truncate' to \(length) characters, with \(end.count) for the end")
        }
        let scalars = text.scalars
        if scalars.count <= length + leeway { return .string(text) }
        var kept = scalars[..<(length - end.count)]
        if try !isTrue(bound[1] ?? .bool(false)), let space = kept.lastIndex(of: " ") {
            kept = kept[..<space]
        }
        var result = TemplateText(kept)
        result.append(end)
        return .string(result)
    }

    // MARK: Numbers

    private func number(
        _ name: String, _ value: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        if case .undefined(let undefined) = value { throw undefined.fault }
        if name == "float" {
            let standard = try arguments.bind(["default"], of: name)[0] ?? .float(0)
            if let number = value.number { return .float(number) }
            guard case .string(let text) = value else { return standard }
            return Double(text.stripped(.both).string).map { .float($0) } ?? standard
        }
        let bound = try arguments.bind(["default", "base"], of: name)
        let base = try bound[1].integer("base") ?? 10
        guard (2...36).contains(base) else { throw .type("no numbers have the base \(base)") }
        switch value {
        case .large: return value
        case .float(let number):
            let whole = Int(exactly: number.rounded(.towardZero))
            return whole.map { .int($0) } ?? bound[0] ?? .int(0)
        case .string(let text):
            let digits = text.stripped(.both).string
            if let whole = Int(digits, radix: base) { return .int(whole) }
            if let number = Double(digits), let whole = Int(exactly: number.rounded(.towardZero)) {
                return .int(whole)
            }
            return bound[0] ?? .int(0)
        default: return value.integer.map { .int($0) } ?? bound[0] ?? .int(0)
        }
    }

    private func round(
        _ value: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(["precision", "method"], of: "round")
        let precision = try bound[0].integer("precision") ?? 0
        let method = try bound[1].text("method")?.string ?? "common"
        guard (0...300).contains(precision) else { throw .unsupported("rounding to \(precision)") }
        if case .undefined(let undefined) = value { throw undefined.fault }
        guard let number = value.number else { throw .type("a \(value.typeName) is no number") }
        switch method {
        case "common":
            if let whole = value.integer { return .int(whole) }
            return .float(Self.rounded(number, precision))
        case "ceil", "floor":
            let scale = Glibc.pow(10, Double(precision))
            let scaled = number * scale
            return .float((method == "ceil" ? scaled.rounded(.up) : scaled.rounded(.down)) / scale)
        default: throw .type("rounding is common, ceil or floor, not \(method)")
        }
    }

    /// Python rounds the decimal digits of the exact value, as printf does.
    private static func rounded(_ number: Double, _ precision: Int) -> Double {
        guard number.isFinite else { return number }
        var buffer = [CChar](repeating: 0, count: 700)
        let count = withVaList([Int32(precision), number]) {
            vsnprintf(&buffer, buffer.count, "%.*f", $0)
        }
        let digits = buffer[..<Int(count)].map(UInt8.init(bitPattern:))
        return Double(String(decoding: digits, as: UTF8.self)) ?? number
    }

    func power(_ base: Double, _ exponent: Double) -> Double { Glibc.pow(base, exponent) }

    // MARK: JSON

    private func json(
        _ value: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(
            ["ensure_ascii", "indent", "separators", "sort_keys"], of: "tojson")
        var style = TemplateJSONStyle()
        style.ensureASCII = try isTrue(bound[0] ?? .bool(false))
        style.sortsKeys = try isTrue(bound[3] ?? .bool(false))
        if case .string(let text)? = bound[1] {
            style.indent = text.bytes
        } else if let width = try bound[1].integer("indent") {
            guard width <= 100 else { throw .limit("an indentation of more than 100") }
            style.indent = Array(repeating: UInt8(ascii: " "), count: max(width, 0))
        }
        if style.indent != nil { style.itemSeparator = [UInt8(ascii: ",")] }
        if case .list(let separators)? = bound[2] {
            guard separators.elements.count == 2 else { throw .type("separators are two strings") }
            style.itemSeparator = try separators.elements[0].expectText("a separator").bytes
            style.keySeparator = try separators.elements[1].expectText("a separator").bytes
        }
        var printer = TemplatePrinter(limit: limits.bytes)
        try printer.writeJSON(value, style)
        return .string(TemplateText(bytes: printer.output))
    }
}
