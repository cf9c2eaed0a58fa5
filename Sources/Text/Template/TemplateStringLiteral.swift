/// The text between the quotes of a string, with Python's escapes.
struct TemplateStringLiteral {
    private let source: ArraySlice<Unicode.Scalar>
    private var position: Int
    private var result = ""

    init(_ source: ArraySlice<Unicode.Scalar>) {
        self.source = source
        position = source.startIndex
    }

    mutating func value() throws(TemplateFault) -> TemplateText {
        while position < source.endIndex {
            let scalar = source[position]
            position += 1
            if scalar == "\\", position < source.endIndex {
                try appendEscape()
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return TemplateText(result)
    }

    private mutating func appendEscape() throws(TemplateFault) {
        let scalar = source[position]
        position += 1
        switch scalar {
        case "\n": break
        case "\\", "'", "\"": result.unicodeScalars.append(scalar)
        case "n": result += "\n"
        case "t": result += "\t"
        case "r": result += "\r"
        case "a": result += "\u{7}"
        case "b": result += "\u{8}"
        case "f": result += "\u{C}"
        case "v": result += "\u{B}"
        case "x": try appendCode(digits: 2)
        case "u": try appendCode(digits: 4)
        case "U": try appendCode(digits: 8)
        case "N": throw .unsupported("\\N in a string")
        case "0"..."7":
            var code = scalar.value - 0x30
            for _ in 0..<2 {
                guard position < source.endIndex, ("0"..."7").contains(source[position]) else {
                    break
                }
                code = code * 8 + source[position].value - 0x30
                position += 1
            }
            result.unicodeScalars.append(Unicode.Scalar(UInt16(code)) ?? "\u{FFFD}")
        default:
            result += "\\"
            appendPlain(scalar)
        }
    }

    /// Jinja spells what is not ASCII as an escape before it reads escapes, so that a backslash before
    /// it makes that spelling visible.
    private mutating func appendPlain(_ scalar: Unicode.Scalar) {
        switch scalar.value {
        case ..<0x80: result.unicodeScalars.append(scalar)
        case ..<0x100: result += "x" + TemplatePrinter.hexadecimal(scalar.value, digits: 2)
        case ..<0x10000: result += "u" + TemplatePrinter.hexadecimal(scalar.value, digits: 4)
        default: result += "U" + TemplatePrinter.hexadecimal(scalar.value, digits: 8)
        }
    }

    private mutating func appendCode(digits: Int) throws(TemplateFault) {
        var code: UInt32 = 0
        for _ in 0..<digits {
            guard position < source.endIndex, source[position].value < 0x80,
                let digit = Character(source[position]).hexDigitValue
            else { throw .syntax("a broken escape in a string") }
            code = code << 4 | UInt32(digit)
            position += 1
        }
        guard let scalar = Unicode.Scalar(code) else {
            throw .syntax("an escape that is no character")
        }
        result.unicodeScalars.append(scalar)
    }
}
