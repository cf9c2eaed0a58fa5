/// The methods of Python's `str` that templates may call and that need no arguments checked.
extension TemplateText {
    enum Side { case left, right, both }

    /// - Parameter characters: what is stripped; nil for white space.
    func stripped(_ side: Side, of characters: TemplateText? = nil) -> TemplateText {
        let set = characters.map { Set($0.scalars) }
        func isStripped(_ scalar: Unicode.Scalar) -> Bool {
            set.map { $0.contains(scalar) } ?? Self.isSpace(scalar)
        }
        let all = string.unicodeScalars
        var start = all.startIndex
        var end = all.endIndex
        if side != .right {
            while start < end, isStripped(all[start]) { start = all.index(after: start) }
        }
        if side != .left {
            while start < end {
                let before = all.index(before: end)
                guard isStripped(all[before]) else { break }
                end = before
            }
        }
        return TemplateText(String(all[start..<end]))
    }

    /// Split at `separator` (not empty), at most `limit` times.
    func split(at separator: [UInt8], limit: Int?, fromRight: Bool) -> [TemplateText] {
        var cuts = fromRight ? occurrencesFromRight(of: separator) : occurrences(of: separator)
        if let limit, cuts.count > limit {
            cuts = fromRight ? Array(cuts.suffix(limit)) : Array(cuts.prefix(limit))
        }
        var parts: [TemplateText] = []
        var start = 0
        for cut in cuts {
            parts.append(TemplateText(bytes: Array(bytes[start..<cut])))
            start = cut + separator.count
        }
        parts.append(TemplateText(bytes: Array(bytes[start...])))
        return parts
    }

    private func occurrencesFromRight(of pattern: [UInt8]) -> [Int] {
        let reversed = TemplateText(bytes: bytes.reversed())
        return reversed.occurrences(of: pattern.reversed())
            .map { bytes.count - $0 - pattern.count }.reversed()
    }

    /// Split at runs of white space, at most `limit` times; no empty parts. What is left behind the
    /// last split keeps the blanks at its far end.
    func splitAtSpaces(limit: Int?, fromRight: Bool) -> [TemplateText] {
        var scalars = self.scalars
        if fromRight { scalars.reverse() }
        var parts: [TemplateText] = []
        var position = 0
        while true {
            while position < scalars.count, Self.isSpace(scalars[position]) { position += 1 }
            if position == scalars.count { break }
            var end = position
            if let limit, parts.count == limit {
                end = scalars.count
            } else {
                while end < scalars.count, !Self.isSpace(scalars[end]) { end += 1 }
            }
            let part = scalars[position..<end]
            parts.append(fromRight ? TemplateText(part.reversed()) : TemplateText(part))
            if let limit, parts.count == limit + 1 { break }
            position = end
        }
        return fromRight ? parts.reversed() : parts
    }

    func lines(keepEnds: Bool) -> [TemplateText] {
        var lines: [TemplateText] = []
        let scalars = self.scalars
        var start = 0
        var position = 0
        while position < scalars.count {
            var end = position + 1
            switch scalars[position].value {
            case 0x0D:
                if end < scalars.count, scalars[end].value == 0x0A { end += 1 }
            case 0x0A, 0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029: break
            default:
                position += 1
                continue
            }
            lines.append(TemplateText(scalars[start..<(keepEnds ? end : position)]))
            start = end
            position = end
        }
        if start < scalars.count { lines.append(TemplateText(scalars[start...])) }
        return lines
    }

    /// Replaces the first `limit` occurrences (nil: all).
    /// - Throws: `limit` when the result would be longer than `bytes`.
    func replacing(
        _ old: TemplateText, with new: TemplateText, limit: Int?, bytes maximum: Int
    ) throws(TemplateFault) -> TemplateText {
        var places = old.isEmpty ? scalarStarts + [bytes.count] : occurrences(of: old.bytes)
        if let limit, places.count > limit { places.removeLast(places.count - limit) }
        let (added, overflow) = places.count.multipliedReportingOverflow(by: new.bytes.count)
        guard !overflow, added <= maximum - min(maximum, bytes.count) else {
            throw .limit("replacing makes a text of more than \(maximum) bytes")
        }
        var result: [UInt8] = []
        var start = 0
        for place in places {
            result.append(contentsOf: bytes[start..<place])
            result.append(contentsOf: new.bytes)
            start = place + old.bytes.count
        }
        result.append(contentsOf: bytes[start...])
        return TemplateText(bytes: result)
    }

    /// Byte positions at which code points begin.
    var scalarStarts: [Int] { bytes.indices.filter { bytes[$0] & 0xC0 != 0x80 } }

    func slice(_ range: some Sequence<Int>) -> TemplateText {
        let scalars = self.scalars
        return TemplateText(range.lazy.map { scalars[$0] })
    }

    // MARK: Case

    var uppercased: TemplateText { mapped(\.uppercaseMapping) }

    var lowercased: TemplateText {
        let scalars = self.scalars
        guard scalars.contains(where: { $0.value == 0x3A3 }) else {
            return mapped(\.lowercaseMapping)
        }
        // The last letter of a word: final sigma.
        var result = ""
        for (index, scalar) in scalars.enumerated() {
            if scalar.value == 0x3A3, isFinal(index, in: scalars) {
                result.unicodeScalars.append("\u{3C2}")
            } else {
                result += scalar.properties.lowercaseMapping
            }
        }
        return TemplateText(result)
    }

    private func isFinal(_ index: Int, in scalars: [Unicode.Scalar]) -> Bool {
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        return before?.properties.isCased == true && after?.properties.isCased != true
    }

    private func mapped(_ mapping: KeyPath<Unicode.Scalar.Properties, String>) -> TemplateText {
        var result = ""
        for scalar in string.unicodeScalars { result += scalar.properties[keyPath: mapping] }
        return TemplateText(result)
    }

    var capitalized: TemplateText {
        guard let first = string.unicodeScalars.first else { return self }
        var result = TemplateText(first.properties.titlecaseMapping)
        result.append(TemplateText(string.unicodeScalars.dropFirst()).lowercased)
        return result
    }

    /// Every letter behind a letter lower, every other one title case.
    var titled: TemplateText {
        var result = ""
        var followsLetter = false
        for scalar in string.unicodeScalars {
            let properties = scalar.properties
            result += followsLetter ? properties.lowercaseMapping : properties.titlecaseMapping
            followsLetter = properties.isCased
        }
        return TemplateText(result)
    }

    var isLower: Bool { isCased { $0.isLowercase } }
    var isUpper: Bool { isCased { $0.isUppercase } }

    private func isCased(_ holds: (Unicode.Scalar.Properties) -> Bool) -> Bool {
        var found = false
        for scalar in string.unicodeScalars where scalar.properties.isCased {
            if !holds(scalar.properties) { return false }
            found = true
        }
        return found
    }

    func all(_ holds: (Unicode.Scalar) -> Bool) -> Bool {
        !isEmpty && string.unicodeScalars.allSatisfy(holds)
    }
}

extension Unicode.Scalar {
    var isLetter: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            true
        default: false
        }
    }
    var isDecimal: Bool { properties.numericType == .decimal }
    var isDigit: Bool { properties.numericType == .decimal || properties.numericType == .digit }
    var isNumeric: Bool { properties.numericType != nil }
    /// Python's `str.isprintable` for one code point.
    var isPrintable: Bool {
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator,
            .paragraphSeparator:
            false
        case .spaceSeparator: value == 0x20
        default: true
        }
    }
}
