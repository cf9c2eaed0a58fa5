/// Methods of strings.
extension TemplateInterpreter {
    func callText(
        _ name: String, _ text: TemplateText, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        switch name {
        case "strip", "lstrip", "rstrip":
            let characters = try arguments.bind(["chars"], of: name)[0].text("chars")
            let side: TemplateText.Side =
                name == "strip" ? .both : name == "lstrip" ? .left : .right
            return .string(text.stripped(side, of: characters))
        case "split", "rsplit": return try split(name, text, arguments)
        case "partition", "rpartition": return try partition(name, text, arguments)
        case "splitlines":
            let keeps = try arguments.bind(["keepends"], of: name)[0] ?? .bool(false)
            return try .list(text.lines(keepEnds: try isTrue(keeps)).map { .string($0) })
        case "join": return try join(name, text, arguments)
        case "replace": return try replace(name, text, arguments)
        case "startswith", "endswith": return try hasAffix(name, text, arguments)
        case "removeprefix", "removesuffix": return try removeAffix(name, text, arguments)
        case "find", "rfind", "index", "rindex", "count":
            return try find(name, text, arguments)
        case "zfill", "ljust", "rjust", "center": return try pad(name, text, arguments)
        case "format": return try format(text, arguments)
        default:
            _ = try arguments.bind([], of: name)
            return try callPlain(name, text)
        }
    }

    private func callPlain(
        _ name: String, _ text: TemplateText
    ) throws(TemplateFault) -> TemplateValue {
        switch name {
        case "upper": return .string(text.uppercased)
        case "lower", "casefold": return .string(text.lowercased)
        case "title": return .string(text.titled)
        case "capitalize": return .string(text.capitalized)
        case "swapcase":
            let parts = text.scalars.map { scalar in
                let properties = scalar.properties
                return properties.isUppercase
                    ? properties.lowercaseMapping : properties.uppercaseMapping
            }
            return .string(TemplateText(parts.joined()))
        case "isdigit": return .bool(text.all(\.isDigit))
        case "isdecimal": return .bool(text.all(\.isDecimal))
        case "isnumeric": return .bool(text.all(\.isNumeric))
        case "isalpha": return .bool(text.all(\.isLetter))
        case "isalnum": return .bool(text.all { $0.isLetter || $0.isNumeric })
        case "isspace": return .bool(text.all(TemplateText.isSpace))
        case "islower": return .bool(text.isLower)
        case "isupper": return .bool(text.isUpper)
        case "isascii": return .bool(text.bytes.allSatisfy { $0 < 0x80 })
        default: throw .unsupported("the method '\(name)' of strings")
        }
    }

    private func split(
        _ name: String, _ text: TemplateText, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(["sep", "maxsplit"], of: name)
        let separator = try bound[0].text("the separator")
        var limit = try bound[1].integer("maxsplit")
        if let count = limit, count < 0 { limit = nil }
        let parts: [TemplateText]
        if let separator {
            guard !separator.isEmpty else { throw .type("an empty separator") }
            parts = text.split(at: separator.bytes, limit: limit, fromRight: name == "rsplit")
        } else {
            parts = text.splitAtSpaces(limit: limit, fromRight: name == "rsplit")
        }
        return try .list(parts.map { .string($0) })
    }

    private func partition(
        _ name: String, _ text: TemplateText, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(["sep"], required: 1, of: name)[0] ?? .none
        let separator = try bound.expectText("the separator")
        guard !separator.isEmpty else { throw .type("an empty separator") }
        let isFromRight = name == "rpartition"
        let parts = text.split(at: separator.bytes, limit: 1, fromRight: isFromRight)
        let empty = TemplateText("")
        let all =
            parts.count == 2
            ? [parts[0], separator, parts[1]]
            : isFromRight ? [empty, empty, text] : [text, empty, empty]
        return try .tuple(all.map { .string($0) })
    }

    private func join(
        _ name: String, _ text: TemplateText, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(["iterable"], required: 1, of: name)[0] ?? .none
        var printer = TemplatePrinter(limit: limits.bytes)
        for (index, element) in try elements(of: bound).enumerated() {
            if index > 0 { try printer.write(text.bytes) }
            try printer.write(try element.expectText("an element to join").bytes)
        }
        return .string(TemplateText(bytes: printer.output))
    }

    private func replace(
        _ name: String, _ text: TemplateText, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(["old", "new", "count"], required: 2, of: name)
        var limit = try bound[2].integer("count")
        if let count = limit, count < 0 { limit = nil }
        return .string(
            try text.replacing(
                try (bound[0] ?? .none).expectText("what is replaced"),
                with: try (bound[1] ?? .none).expectText("the replacement"), limit: limit,
                bytes: limits.bytes))
    }

    private func hasAffix(
        _ name: String, _ text: TemplateText, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(["prefix"], required: 1, of: name)[0] ?? .none
        var affixes = [bound]
        if case .list(let list) = bound, list.kind == .tuple { affixes = list.elements }
        for affix in affixes {
            let affix = try affix.expectText("the argument of \(name)").bytes
            let holds =
                name == "startswith"
                ? text.bytes.starts(with: affix)
                : text.bytes.count >= affix.count
                    && text.bytes.suffix(affix.count).elementsEqual(affix)
            if holds { return .bool(true) }
        }
        return .bool(false)
    }

    private func removeAffix(
        _ name: String, _ text: TemplateText, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(["prefix"], required: 1, of: name)[0] ?? .none
        let affix = try bound.expectText("the argument of \(name)").bytes
        if name == "removeprefix", text.bytes.starts(with: affix) {
            return .string(TemplateText(bytes: Array(text.bytes.dropFirst(affix.count))))
        }
        if name == "removesuffix", text.bytes.count >= affix.count,
            text.bytes.suffix(affix.count).elementsEqual(affix)
        {
            return .string(TemplateText(bytes: text.bytes.dropLast(affix.count)))
        }
        return .string(text)
    }

    private func find(
        _ name: String, _ text: TemplateText, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        guard arguments.positional.count < 2 else {
            throw .unsupported("'\(name)' between positions")
        }
        let bound = try arguments.bind(["sub"], required: 1, of: name)[0] ?? .none
        let part = try bound.expectText("the argument of \(name)").bytes
        try charge(text.bytes.count / 4)
        if name == "count" {
            return .int(part.isEmpty ? text.count + 1 : text.occurrences(of: part).count)
        }
        let place: Int?
        if name.hasPrefix("r") {
            let reversed = TemplateText(bytes: text.bytes.reversed())
            place = reversed.find(part.reversed()).map { text.bytes.count - $0 - part.count }
        } else {
            place = text.find(part)
        }
        guard let place else {
            if name.hasSuffix("index") { throw .type("the text does not hold the other") }
            return .int(-1)
        }
        return .int(TemplateText.scalarCount(text.bytes[..<place]))
    }

    private func pad(
        _ name: String, _ text: TemplateText, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(["width", "fillchar"], required: 1, of: name)
        let width = try (bound[0] ?? .none).expectInteger("the width")
        var fill = try bound[1].text("the fill") ?? TemplateText(" ")
        guard fill.count == 1 else { throw .type("the fill must be one character") }
        let missing = max(0, min(width, limits.bytes + 1) - text.count)
        guard missing * fill.bytes.count <= limits.bytes else {
            throw .limit("a text of more than \(limits.bytes) bytes")
        }
        if name == "zfill" { fill = TemplateText("0") }
        func filling(_ count: Int) -> [UInt8] {
            Array(repeatElement(fill.bytes, count: count).joined())
        }
        switch name {
        case "ljust": return .string(TemplateText(bytes: text.bytes + filling(missing)))
        case "rjust": return .string(TemplateText(bytes: filling(missing) + text.bytes))
        case "center":
            // As CPython divides the fill.
            let left = missing / 2 + (missing & width & 1)
            return .string(
                TemplateText(bytes: filling(left) + text.bytes + filling(missing - left)))
        default:
            var digits = text.bytes
            var sign: [UInt8] = []
            if let first = digits.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
                sign = [digits.removeFirst()]
            }
            return .string(TemplateText(bytes: sign + filling(missing) + digits))
        }
    }

    /// `str.format` with plain fields: `{}`, `{0}`, `{name}`.
    private func format(
        _ text: TemplateText, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        var printer = TemplatePrinter(limit: limits.bytes)
        var next = 0
        var rest = text.bytes[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "{") || byte == UInt8(ascii: "}") else {
                try printer.write(CollectionOfOne(byte))
                continue
            }
            if rest.first == byte {
                rest.removeFirst()
                try printer.write(CollectionOfOne(byte))
                continue
            }
            guard byte == UInt8(ascii: "{"), let end = rest.firstIndex(of: UInt8(ascii: "}")) else {
                throw .type("a single brace in a format")
            }
            let field = String(decoding: rest[..<end], as: UTF8.self)
            rest = rest[(end + 1)...]
            if let index = field.isEmpty ? next : Int(field) {
                if field.isEmpty { next += 1 }
                guard arguments.positional.indices.contains(index) else {
                    throw .type("the format has no argument \(index)")
                }
                try printer.print(arguments.positional[index])
            } else if let value = arguments.named.first(where: { $0.name == field })?.value {
                try printer.print(value)
            } else {
                throw .unsupported("the field '{\(field)}' of a format")
            }
        }
        return .string(TemplateText(bytes: printer.output))
    }

    /// `format % values` with `%s`, `%r`, `%d`, `%i` and `%%`.
    func formatted(
        _ format: TemplateText, _ values: TemplateValue
    ) throws(TemplateFault) -> TemplateValue {
        var arguments = [values][...]
        if case .list(let list) = values, list.kind == .tuple { arguments = list.elements[...] }
        var printer = TemplatePrinter(limit: limits.bytes)
        var rest = format.bytes[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                try printer.write(CollectionOfOne(byte))
                continue
            }
            guard let kind = rest.popFirst() else { throw .type("a format ends with '%'") }
            if kind == UInt8(ascii: "%") {
                try printer.write(CollectionOfOne(kind))
                continue
            }
            guard let value = arguments.popFirst() else {
                throw .type("a format has more fields than values")
            }
            switch kind {
            case UInt8(ascii: "s"): try printer.print(value)
            case UInt8(ascii: "r"): try printer.represent(value)
            case UInt8(ascii: "d"), UInt8(ascii: "i"):
                guard let number = value.number else { throw .type("'%d' needs a number") }
                guard abs(number) < 1e18 else { throw .limit("a number too large for '%d'") }
                try printer.write(String(value.integer ?? Int(number)).utf8)
            default: throw .unsupported("a format other than %s, %r and %d")
            }
        }
        guard arguments.isEmpty else { throw .type("a format has fewer fields than values") }
        return .string(TemplateText(bytes: printer.output))
    }
}
