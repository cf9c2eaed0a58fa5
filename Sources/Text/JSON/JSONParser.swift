/// Turns JSON text (RFC 8259, strict) into the node list of a `JSONDocument`.
struct JSONParser {
    private typealias Node = JSONDocument.Node

    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0
    private var nodes: [JSONDocument.Node] = []
    /// Node indices of the containers that are still open.
    private var open: [Int] = []

    /// - Parameter bytes: valid UTF-8.
    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
        nodes.reserveCapacity(bytes.count / 12 + 16)
    }

    mutating func parse() throws(JSONError) -> [JSONDocument.Node] {
        try parseValue()
        while let container = open.last {
            let isObject = nodes[container].kind == .object
            let isFirst = nodes.count == container + 1
            skipSpace()
            let byte = try current("a container that does not end")
            if byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                position += 1
                close(container)
                continue
            }
            if !isFirst {
                try expect(UInt8(ascii: ","))
                skipSpace()
            }
            if isObject {
                guard try current("an object that does not end") == UInt8(ascii: "\"") else {
                    throw failure("a key in quotes was expected")
                }
                try parseString()
                skipSpace()
                try expect(UInt8(ascii: ":"))
            }
            try parseValue()
        }
        skipSpace()
        if position < bytes.count { throw failure("unexpected text after the end") }
        return nodes
    }

    private mutating func close(_ container: Int) {
        open.removeLast()
        nodes[container].next = UInt32(nodes.count)
        nodes[container].length = UInt32(position) - nodes[container].start
    }

    private mutating func parseValue() throws(JSONError) {
        skipSpace()
        switch try current("a value was expected") {
        case UInt8(ascii: "{"): try openContainer(.object)
        case UInt8(ascii: "["): try openContainer(.array)
        case UInt8(ascii: "\""): try parseString()
        case UInt8(ascii: "t"): try parseLiteral("true", .true)
        case UInt8(ascii: "f"): try parseLiteral("false", .false)
        case UInt8(ascii: "n"): try parseLiteral("null", .null)
        default: try parseNumber()
        }
    }

    private mutating func openContainer(_ kind: JSONDocument.Kind) throws(JSONError) {
        if open.count >= JSONDocument.maximumDepth {
            throw failure("nested deeper than \(JSONDocument.maximumDepth)")
        }
        open.append(nodes.count)
        add(kind, start: position, end: position)
        position += 1
    }

    private mutating func add(
        _ kind: JSONDocument.Kind, start: Int, end: Int, isEscaped: Bool = false
    ) {
        nodes.append(
            Node(
                kind: kind, isEscaped: isEscaped, start: UInt32(start),
                length: UInt32(end - start), next: UInt32(nodes.count + 1)))
    }

    private mutating func parseString() throws(JSONError) {
        position += 1
        let start = position
        var isEscaped = false
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                add(.string, start: start, end: position, isEscaped: isEscaped)
                position += 1
                return
            }
            if byte < 0x20 { throw failure("a control character in a string") }
            if byte == UInt8(ascii: "\\") {
                isEscaped = true
                guard let length = JSONEscapes.length(in: bytes, at: position) else {
                    throw failure("a broken escape in a string")
                }
                position += length
            } else {
                position += 1
            }
        }
        throw failure("a string that does not end")
    }

    private mutating func parseLiteral(
        _ text: StaticString, _ kind: JSONDocument.Kind
    ) throws(JSONError) {
        let count = text.utf8CodeUnitCount
        guard position + count <= bytes.count,
            (0..<count).allSatisfy({ bytes[position + $0] == text.utf8Start[$0] })
        else { throw failure("an unknown word") }
        add(kind, start: position, end: position + count)
        position += count
    }

    private mutating func parseNumber() throws(JSONError) {
        let start = position
        skip(UInt8(ascii: "-"))
        let integer = skipDigits()
        let hasLeadingZero = integer > 1 && bytes[position - integer] == UInt8(ascii: "0")
        var isSound = integer > 0 && !hasLeadingZero
        if isSound, skip(UInt8(ascii: ".")) { isSound = skipDigits() > 0 }
        if isSound, skip(UInt8(ascii: "e")) || skip(UInt8(ascii: "E")) {
            if !skip(UInt8(ascii: "+")) { skip(UInt8(ascii: "-")) }
            isSound = skipDigits() > 0
        }
        guard isSound else { throw failure("a value was expected") }
        add(.number, start: start, end: position)
    }

    @discardableResult
    private mutating func skip(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipDigits() -> Int {
        let start = position
        while position < bytes.count, bytes[position] >= 0x30, bytes[position] <= 0x39 {
            position += 1
        }
        return position - start
    }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    private func current(_ expectation: String) throws(JSONError) -> UInt8 {
        guard position < bytes.count else { throw failure("the end came early: \(expectation)") }
        return bytes[position]
    }

    private mutating func expect(_ byte: UInt8) throws(JSONError) {
        guard skip(byte) else {
            throw failure("'\(Character(Unicode.Scalar(byte)))' was expected")
        }
    }

    private func failure(_ cause: String) -> JSONError {
        JSONError(offset: position, cause: cause)
    }
}

/// Backslash escapes in JSON strings.
enum JSONEscapes {
    /// The byte length of the escape at `position` (a surrogate pair counts as one), nil if broken.
    static func length(in bytes: UnsafeBufferPointer<UInt8>, at position: Int) -> Int? {
        guard position + 1 < bytes.count else { return nil }
        switch bytes[position + 1] {
        case UInt8(ascii: "u"):
            guard let unit = unit(in: bytes, at: position) else { return nil }
            if unit & 0xF800 != 0xD800 { return 6 }
            guard unit < 0xDC00, let low = self.unit(in: bytes, at: position + 6),
                low & 0xFC00 == 0xDC00
            else { return nil }
            return 12
        case let byte: return simple(byte) == nil ? nil : 2
        }
    }

    /// Appends the unescaped text. `text` holds only escapes that `length` accepted.
    static func unescape(_ text: Slice<UnsafeBufferPointer<UInt8>>, into output: inout [UInt8]) {
        let bytes = text.base
        var position = text.startIndex
        while position < text.endIndex {
            let byte = bytes[position]
            guard byte == UInt8(ascii: "\\") else {
                output.append(byte)
                position += 1
                continue
            }
            if let plain = simple(bytes[position + 1]) {
                output.append(plain)
                position += 2
                continue
            }
            guard let high = unit(in: bytes, at: position) else { return }
            var value = high
            position += 6
            if high & 0xFC00 == 0xD800, let low = unit(in: bytes, at: position) {
                value = 0x10000 + (high & 0x3FF) << 10 + (low & 0x3FF)
                position += 6
            }
            if let scalar = Unicode.Scalar(value) {
                output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            }
        }
    }

    private static func simple(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): byte
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: nil
        }
    }

    /// The value of a `\uXXXX` escape that starts at `position`.
    private static func unit(in bytes: UnsafeBufferPointer<UInt8>, at position: Int) -> UInt32? {
        guard position + 6 <= bytes.count, bytes[position] == UInt8(ascii: "\\"),
            bytes[position + 1] == UInt8(ascii: "u")
        else { return nil }
        var value: UInt32 = 0
        for offset in 2..<6 {
            let byte = bytes[position + offset]
            let digit: UInt8
            switch byte {
            case 0x30...0x39: digit = byte - 0x30
            case 0x41...0x46: digit = byte - 0x37
            case 0x61...0x66: digit = byte - 0x57
            default: return nil
            }
            value = value << 4 | UInt32(digit)
        }
        return value
    }
}
