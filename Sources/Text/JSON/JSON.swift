/// A JSON text as a tree, for small texts from outside: strict (RFC 8259), no deeper than a `JSONDocument`, no lone
/// surrogates, and no key twice in an object, since readers disagree on which of two values counts.
package enum JSON: Sendable, Equatable {
    case null
    case bool(Bool)
    /// As it was written.
    case number(String)
    case string(String)
    case array([JSON])
    /// In the order of the text.
    case object([Member])

    package struct Member: Sendable, Equatable {
        package let key: String
        package let value: JSON

        package init(key: String, value: JSON) { (self.key, self.value) = (key, value) }
    }

    package struct ParseError: Error, Equatable, CustomStringConvertible {
        /// In bytes; `nil` where the fault is not at one place.
        package let offset: Int?
        package let cause: String

        package var description: String { offset.map { "\(cause) (byte \($0))" } ?? cause }
    }

    package init(parsing bytes: [UInt8]) throws(ParseError) {
        let document: JSONDocument
        do {
            document = try JSONDocument(bytes)
        } catch {
            throw ParseError(offset: error.offset, cause: error.cause)
        }
        self = try Self.tree(document.root)
    }

    /// The value of `key` in an object; `nil` in any other kind.
    package subscript(key: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    package var string: String? {
        if case .string(let string) = self { string } else { nil }
    }

    /// What this value is, for messages.
    package var typeName: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }

    /// The text again, in UTF-8.
    package var utf8: [UInt8] {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return bytes
    }

    private func write(to bytes: inout [UInt8]) {
        switch self {
        case .null: bytes += "null".utf8
        case .bool(let bool): bytes += (bool ? "true" : "false").utf8
        case .number(let text): bytes += text.utf8
        case .string(let text): Self.write(text, to: &bytes)
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                element.write(to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                Self.write(member.key, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                member.value.write(to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    private static func write(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case ..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                bytes += "\\u00".utf8
                bytes += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    // The document's depth is bounded, so recursion is.
    private static func tree(_ value: JSONValue) throws(ParseError) -> JSON {
        switch value.kind {
        case .null: return .null
        case .true: return .bool(true)
        case .false: return .bool(false)
        case .number: return .number(value.numberText ?? "")
        case .string: return .string(value.string ?? "")
        case .array:
            var elements: [JSON] = []
            for index in value.elements {
                elements.append(try tree(JSONValue(document: value.document, index: index)))
            }
            return .array(elements)
        case .object:
            var (members, keys) = ([Member](), Set<String>())
            for index in value.keys {
                let key = JSONValue(document: value.document, index: index).string ?? ""
                guard keys.insert(key).inserted else {
                    throw ParseError(offset: nil, cause: "the key \(key.quoted()) stands twice")
                }
                let member = JSONValue(document: value.document, index: index + 1)
                members.append(Member(key: key, value: try tree(member)))
            }
            return .object(members)
        }
    }
}
