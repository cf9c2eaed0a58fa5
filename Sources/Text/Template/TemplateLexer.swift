/// Cuts a template into tokens as Jinja's lexer does with `trim_blocks` and `lstrip_blocks`: the line
/// break behind a block is dropped, and so are the blanks before a block that begins its line.
struct TemplateLexer {
    private let source: [Unicode.Scalar]
    private var position = 0
    private var line = 1
    private var tokens: [TemplateToken] = []
    /// Whether the text at `position` begins a line of the source.
    private var startsLine = true

    init(_ text: String) {
        var scalars: [Unicode.Scalar] = []
        var previous: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            if scalar == "\n", previous == "\r" {
                previous = scalar
                continue
            }
            scalars.append(scalar == "\r" ? "\n" : scalar)
            previous = scalar
        }
        // One line break at the end of a file is no part of the text.
        if scalars.last == "\n" { scalars.removeLast() }
        source = scalars
    }

    mutating func lex() throws(TemplateError) -> [TemplateToken] {
        while position < source.count { try lexText() }
        add(.end)
        return tokens
    }

    // MARK: Text between tags

    private enum Tag { case variable, block, comment, raw(end: Int) }

    private mutating func lexText() throws(TemplateError) {
        guard let (start, tag) = nextTag() else {
            addText(source[position...])
            position = source.count
            return
        }
        let sign = start + 2 < source.count ? source[start + 2] : " "
        var text = source[position..<start]
        if sign == "-" {
            while let last = text.last, TemplateText.isSpace(last) { text.removeLast() }
        } else if sign != "+" {
            if case .variable = tag {} else { dropBlanks(before: &text) }
        }
        addText(text)
        advance(to: start + (sign == "-" || sign == "+" ? 3 : 2))
        startsLine = false
        switch tag {
        case .variable:
            add(.variableBegin)
            try lexTag(isVariable: true)
        case .block:
            add(.blockBegin)
            try lexTag(isVariable: false)
        case .comment: try skipComment()
        case .raw(let end):
            startsLine = source[end - 1] == "\n"
            advance(to: end)
            try lexRaw()
        }
    }

    private func nextTag() -> (start: Int, Tag)? {
        var start = position
        while start + 1 < source.count {
            if source[start] == "{" {
                switch source[start + 1] {
                case "{": return (start, .variable)
                case "#": return (start, .comment)
                case "%": return (start, rawEnd(start).map { .raw(end: $0) } ?? .block)
                default: break
                }
            }
            start += 1
        }
        return nil
    }

    /// Where the text of a raw block begins whose tag begins at `start`.
    private func rawEnd(_ start: Int) -> Int? {
        var place = start + 2
        if place < source.count, source[place] == "-" || source[place] == "+" { place += 1 }
        guard skipWord("raw", &place) else { return nil }
        if matches("-%}", place) { return endOfSpace(place + 3) }
        return matches("%}", place) ? place + 2 : nil
    }

    private func skipWord(_ word: String, _ place: inout Int) -> Bool {
        place = endOfSpace(place)
        guard matches(word, place) else { return false }
        place = endOfSpace(place + word.unicodeScalars.count)
        return true
    }

    /// Drops blanks from the end of `text` if nothing else stands on the line.
    private func dropBlanks(before text: inout ArraySlice<Unicode.Scalar>) {
        var rest = text
        while let last = rest.last, last != "\n", TemplateText.isSpace(last) { rest.removeLast() }
        if rest.last == "\n" || rest.isEmpty && startsLine { text = rest }
    }

    private mutating func skipComment() throws(TemplateError) {
        var place = position
        while place < source.count {
            if let end = tagEnd("#}", place) { return finishTag(end) }
            place += 1
        }
        throw failure("a comment does not end")
    }

    private mutating func lexRaw() throws(TemplateError) {
        var place = position
        while place < source.count {
            if matches("{%", place) {
                var end = place + 2
                let sign = end < source.count ? source[end] : " "
                if sign == "-" || sign == "+" { end += 1 }
                if skipWord("endraw", &end), let end = tagEnd("%}", end) {
                    var text = source[position..<place]
                    if sign == "-" {
                        while let last = text.last, TemplateText.isSpace(last) { text.removeLast() }
                    } else if sign != "+" {
                        dropBlanks(before: &text)
                    }
                    addText(text)
                    return finishTag(end)
                }
            }
            place += 1
        }
        throw failure("a raw block does not end")
    }

    /// Where the text behind the end of a block or a comment begins, if one ends at `place`.
    private func tagEnd(_ mark: String, _ place: Int) -> Int? {
        if matches("+" + mark, place) { return place + 3 }
        if matches("-" + mark, place) { return endOfSpace(place + 3) }
        guard matches(mark, place) else { return nil }
        let end = place + 2
        return end < source.count && source[end] == "\n" ? end + 1 : end
    }

    private mutating func finishTag(_ end: Int) {
        startsLine = source[end - 1] == "\n"
        advance(to: end)
    }

    // MARK: Inside a tag

    private mutating func lexTag(isVariable: Bool) throws(TemplateError) {
        var open: [TemplateToken.Symbol] = []
        while position < source.count {
            if open.isEmpty, let end = isVariable ? variableEnd() : tagEnd("%}", position) {
                add(isVariable ? .variableEnd : .blockEnd)
                return finishTag(end)
            }
            let scalar = source[position]
            if TemplateText.isSpace(scalar) {
                advance(to: endOfSpace(position))
            } else if try lexNumber() || lexName() {
            } else if scalar == "'" || scalar == "\"" {
                try lexString(scalar)
            } else {
                try lexSymbol(&open)
            }
        }
        throw failure("a tag does not end")
    }

    private func variableEnd() -> Int? {
        if matches("-}}", position) { return endOfSpace(position + 3) }
        return matches("}}", position) ? position + 2 : nil
    }

    private mutating func lexName() -> Bool {
        var end = position
        while end < source.count, isWord(source[end]) { end += 1 }
        if end == position { return false }
        var name = ""
        name.unicodeScalars.append(contentsOf: source[position..<end])
        add(.name(name))
        position = end
        return true
    }

    private func isWord(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || scalar.isLetter || scalar.isNumeric
            || scalar.value > 0x7F && scalar.properties.isXIDContinue
    }

    private mutating func lexSymbol(_ open: inout [TemplateToken.Symbol]) throws(TemplateError) {
        // Two-character symbols stand first in the list.
        guard
            let symbol = TemplateToken.Symbol.allCases.first(where: {
                matches($0.rawValue, position)
            })
        else { throw failure("unexpected character '\(source[position])'") }
        switch symbol {
        case .leftBrace: open.append(.rightBrace)
        case .leftBracket: open.append(.rightBracket)
        case .leftParenthesis: open.append(.rightParenthesis)
        case .rightBrace, .rightBracket, .rightParenthesis:
            guard open.popLast() == symbol else { throw failure("unexpected '\(symbol.rawValue)'") }
        default: break
        }
        add(.symbol(symbol))
        position += symbol.rawValue.unicodeScalars.count
    }

    // MARK: Places

    private mutating func add(_ kind: TemplateToken.Kind) {
        tokens.append(TemplateToken(kind: kind, line: line))
    }

    private mutating func addText(_ text: ArraySlice<Unicode.Scalar>) {
        if !text.isEmpty { add(.data(TemplateText(text))) }
    }

    private mutating func advance(to end: Int) {
        for place in position..<end where source[place] == "\n" { line += 1 }
        position = end
    }

    private func matches(_ text: String, _ place: Int) -> Bool {
        source[min(place, source.count)...].starts(with: text.unicodeScalars)
    }

    private func endOfSpace(_ place: Int) -> Int {
        var end = place
        while end < source.count, TemplateText.isSpace(source[end]) { end += 1 }
        return end
    }

    private func failure(_ cause: String) -> TemplateError {
        TemplateError(fault: .syntax(cause), line: line)
    }

    // MARK: Literals

    /// Decimal, hexadecimal, octal and binary integers, and floats; `_` between digits.
    private mutating func lexNumber() throws(TemplateError) -> Bool {
        guard isDigit(position) else { return false }
        let start = position
        if let radix = [("x", 16), ("o", 8), ("b", 2)].first(where: {
            source[start] == "0" && matchesLetter($0.0, start + 1)
        })?.1 {
            let end = endOfDigits(start + 2, radix: radix)
            if end > start + 2 {
                guard let value = Int(digits(start + 2, end), radix: radix) else {
                    throw failure("an integer is too large")
                }
                add(.integer(value))
                position = end
                return true
            }
        }
        var end = endOfDigits(start, radix: 10)
        var isFloat = false
        if !(start > 0 && source[start - 1] == ".") {
            if end + 1 < source.count, source[end] == ".", isDigit(end + 1) {
                end = endOfDigits(end + 1, radix: 10)
                isFloat = true
            }
            if matchesLetter("e", end) {
                var place = end + 1
                if matches("+", place) || matches("-", place) { place += 1 }
                if isDigit(place) {
                    end = endOfDigits(place, radix: 10)
                    isFloat = true
                }
            }
        }
        if isFloat {
            add(.float(Double(digits(start, end)) ?? 0))
        } else {
            // Python has no decimal integers with leading zeros, but for zero itself.
            if source[start] == "0" {
                end = start + 1
                while end < source.count, source[end] == "0" { end += 1 }
            }
            guard let value = Int(digits(start, end)) else {
                throw failure("an integer is too large")
            }
            add(.integer(value))
        }
        position = end
        return true
    }

    private func isDigit(_ place: Int) -> Bool {
        place < source.count && source[place].value >= 0x30 && source[place].value <= 0x39
    }

    private func matchesLetter(_ letter: String, _ place: Int) -> Bool {
        matches(letter, place) || matches(letter.uppercased(), place)
    }

    private func endOfDigits(_ start: Int, radix: Int) -> Int {
        var end = start
        while end < source.count {
            if let digit = Character(source[end]).hexDigitValue, digit < radix,
                source[end].value < 0x80
            {
                end += 1
            } else if source[end] == "_", end + 1 < source.count,
                let digit = Character(source[end + 1]).hexDigitValue, digit < radix,
                end > start || radix != 10
            {
                end += 1
            } else {
                break
            }
        }
        return end
    }

    private func digits(_ start: Int, _ end: Int) -> String {
        var text = ""
        text.unicodeScalars.append(contentsOf: source[start..<end].filter { $0 != "_" })
        return text
    }

    private mutating func lexString(_ quote: Unicode.Scalar) throws(TemplateError) {
        var end = position + 1
        while end < source.count, source[end] != quote { end += source[end] == "\\" ? 2 : 1 }
        guard end < source.count else { throw failure("a string does not end") }
        var literal = TemplateStringLiteral(source[(position + 1)..<end])
        do throws(TemplateFault) {
            add(.string(try literal.value()))
        } catch {
            throw TemplateError(fault: error, line: line)
        }
        advance(to: end + 1)
    }
}
