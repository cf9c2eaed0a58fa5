// A strict JSON reader (RFC 8259) over bytes that it does not own. Safetensors headers are read with
// it member by member, so that a header of 100 MB never becomes a tree of a gigabyte; small files are
// read whole, as a `JSONValue`.

/// Where and why bytes are not the JSON that was expected.
struct JSONError: Error {
    let offset: Int
    let reason: String
}

/// Reads JSON from left to right; the bytes must outlive it.
struct JSONCursor {
    /// Deepest nesting that any file of ours or of Hugging Face comes near.
    static let deepestNesting = 64

    private let bytes: UnsafeRawBufferPointer
    private(set) var offset = 0
    private var depth = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The next byte that is not white space, which stays unread.
    mutating func peek() -> UInt8? {
        while let byte = current {
            switch byte {
            case 0x20, 0x09, 0x0A, 0x0D: offset += 1
            default: return byte
            }
        }
        return nil
    }

    /// Requires that only white space is left.
    mutating func end() throws(JSONError) {
        guard peek() == nil else { throw failure("something follows the end of the document") }
    }

    /// Reads `{…}`; `member` reads the value of each key.
    mutating func object(
        _ member: (inout JSONCursor, String) throws(JSONError) -> Void
    ) throws(JSONError) {
        try open(UInt8(ascii: "{"))
        if peek() != UInt8(ascii: "}") {
            repeat {
                let key = try string()
                try expect(UInt8(ascii: ":"))
                try member(&self, key)
            } while try another(before: UInt8(ascii: "}"))
        }
        try close(UInt8(ascii: "}"))
    }

    /// Reads `[…]`; `element` reads each element.
    mutating func array(
        _ element: (inout JSONCursor) throws(JSONError) -> Void
    ) throws(JSONError) {
        try open(UInt8(ascii: "["))
        if peek() != UInt8(ascii: "]") {
            repeat { try element(&self) } while try another(before: UInt8(ascii: "]"))
        }
        try close(UInt8(ascii: "]"))
    }

    /// Reads a whole number from 0 that fits `Int`; signs, fractions and exponents are refused.
    mutating func naturalNumber() throws(JSONError) -> Int {
        _ = peek()
        let start = offset
        var value = 0
        while let byte = current, Self.isDigit(byte) {
            let (scaled, overflowed) = value.multipliedReportingOverflow(by: 10)
            let (next, carried) = scaled.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
            guard !overflowed, !carried else { throw failure("the number is too large") }
            value = next
            offset += 1
        }
        guard offset > start else { throw failure("a whole number from 0 is expected") }
        if offset > start + 1, bytes[start] == UInt8(ascii: "0") {
            throw failure("a number starts with 0")
        }
        if let byte = current, Self.continuesNumber(byte) {
            throw failure("the number is not whole")
        }
        return value
    }

    /// Reads any value as a tree; an object that has a key twice is refused.
    mutating func value() throws(JSONError) -> JSONValue {
        switch peek() {
        case UInt8(ascii: "{"):
            var members: [String: JSONValue] = [:]
            try object { (cursor, key) throws(JSONError) in
                let value = try cursor.value()
                guard members.updateValue(value, forKey: key) == nil else {
                    throw cursor.failure("key '\(key)' appears twice")
                }
            }
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            try array { (cursor) throws(JSONError) in elements.append(try cursor.value()) }
            return .array(elements)
        case UInt8(ascii: "\""):
            return .string(try string())
        case UInt8(ascii: "t"):
            return try word("true", .bool(true))
        case UInt8(ascii: "f"):
            return try word("false", .bool(false))
        case UInt8(ascii: "n"):
            return try word("null", .null)
        default:
            return try number()
        }
    }

    func failure(_ reason: String) -> JSONError { JSONError(offset: offset, reason: reason) }

    // MARK: Tokens

    /// The byte at the cursor. Every read of `bytes` at the cursor goes through this check: a raw
    /// buffer's own subscript is not checked in release builds.
    private var current: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private mutating func expect(_ byte: UInt8) throws(JSONError) {
        guard peek() == byte else {
            throw failure("'\(Character(UnicodeScalar(byte)))' is expected")
        }
        offset += 1
    }

    private mutating func open(_ bracket: UInt8) throws(JSONError) {
        try expect(bracket)
        depth += 1
        guard depth <= Self.deepestNesting else {
            throw failure("values are nested more than \(Self.deepestNesting) deep")
        }
    }

    private mutating func close(_ bracket: UInt8) throws(JSONError) {
        try expect(bracket)
        depth -= 1
    }

    /// Reads the comma before another element, unless the bracket comes first.
    private mutating func another(before bracket: UInt8) throws(JSONError) -> Bool {
        guard peek() != bracket else { return false }
        try expect(UInt8(ascii: ","))
        return true
    }

    private mutating func word(_ word: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for byte in word.utf8 {
            guard current == byte else { throw failure("'\(word)' is expected") }
            offset += 1
        }
        return value
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = offset
        if current == UInt8(ascii: "-") { offset += 1 }
        let firstDigit = offset
        try digits()
        if offset > firstDigit + 1, bytes[firstDigit] == UInt8(ascii: "0") {
            throw failure("a number starts with 0")
        }
        var isWhole = true
        if current == UInt8(ascii: ".") {
            isWhole = false
            offset += 1
            try digits()
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            isWhole = false
            offset += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { offset += 1 }
            try digits()
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if isWhole, let integer = Int(text) { return .integer(integer) }
        guard let number = Double(text), number.isFinite else {
            throw failure("the number is too large")
        }
        return .number(number)
    }

    private mutating func digits() throws(JSONError) {
        let start = offset
        while let byte = current, Self.isDigit(byte) { offset += 1 }
        guard offset > start else { throw failure("a value is expected") }
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func continuesNumber(_ byte: UInt8) -> Bool {
        isDigit(byte) || [".", "e", "E", "+", "-"].contains { byte == UInt8(ascii: $0) }
    }
}

// MARK: Strings

extension JSONCursor {
    /// Reads a string, which must be valid UTF-8.
    mutating func string() throws(JSONError) -> String {
        guard peek() == UInt8(ascii: "\"") else { throw failure("a string is expected") }
        offset += 1
        let start = offset
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                defer { offset += 1 }
                return try text(Array(bytes[start..<offset]))
            case UInt8(ascii: "\\"):
                return try escapedString(from: start)
            case 0..<0x20:
                throw failure("a string holds a control character")
            default:
                offset += 1
            }
        }
        throw failure("a string does not end")
    }

    /// Goes on reading a string from its first escape.
    private mutating func escapedString(from start: Int) throws(JSONError) -> String {
        var content = Array(bytes[start..<offset])
        while let byte = current {
            offset += 1
            switch byte {
            case UInt8(ascii: "\""):
                return try text(content)
            case UInt8(ascii: "\\"):
                content += Array(try escape().utf8)
            case 0..<0x20:
                throw failure("a string holds a control character")
            default:
                content.append(byte)
            }
        }
        throw failure("a string does not end")
    }

    private func text(_ content: [UInt8]) throws(JSONError) -> String {
        guard let text = String(validating: content, as: UTF8.self) else {
            throw failure("a string is not valid UTF-8")
        }
        return text
    }

    private mutating func escape() throws(JSONError) -> Character {
        guard let byte = current else { throw failure("a string does not end") }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape()
        default: throw failure("a string holds an unknown escape")
        }
    }

    private mutating func unicodeEscape() throws(JSONError) -> Character {
        let unit = try hexadecimal()
        var value = unit
        if (0xD800..<0xDC00).contains(unit) {
            guard current == UInt8(ascii: "\\") else { throw failure("half of a surrogate pair") }
            offset += 1
            guard current == UInt8(ascii: "u") else { throw failure("half of a surrogate pair") }
            offset += 1
            let low = try hexadecimal()
            guard (0xDC00..<0xE000).contains(low) else { throw failure("half of a surrogate pair") }
            value = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = UnicodeScalar(value) else { throw failure("half of a surrogate pair") }
        return Character(scalar)
    }

    private mutating func hexadecimal() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = current, let digit = Character(UnicodeScalar(byte)).hexDigitValue
            else {
                throw failure("four hexadecimal digits are expected")
            }
            value = value << 4 + UInt32(digit)
            offset += 1
        }
        return value
    }
}
