import NIOCore

// Answers are written as text straight into the buffer that is sent: a token's chunk is some hundred bytes that differ in a
// few, and an encoder would cost more than computing it shares with others.
extension ByteBuffer {
    /// Writes a JSON string with its quotes.
    mutating func writeJSON(_ text: String) {
        writeInteger(UInt8(ascii: "\""))
        writeEscaped(text)
        writeInteger(UInt8(ascii: "\""))
    }

    private mutating func writeEscaped(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            var start = 0
            for index in bytes.indices {
                let byte = bytes[index]
                // U+2028 and such may stand as they are; DEL too.
                guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
                else { continue }
                writeBytes(bytes[start..<index])
                start = index + 1
                switch byte {
                case UInt8(ascii: "\""): writeStaticString("\\\"")
                case UInt8(ascii: "\\"): writeStaticString("\\\\")
                case 0x0A: writeStaticString("\\n")
                case 0x0D: writeStaticString("\\r")
                case 0x09: writeStaticString("\\t")
                default:
                    writeStaticString("\\u00")
                    writeInteger(Self.digits[Int(byte >> 4)])
                    writeInteger(Self.digits[Int(byte & 15)])
                }
            }
            writeBytes(bytes[start...])
        }
    }

    private static let digits = Array("0123456789abcdef".utf8)

    mutating func writeJSON(_ number: Int) { writeString("\(number)") }

    /// - Parameter number: finite.
    mutating func writeJSON(_ number: Double) { writeString("\(number)") }

    mutating func writeJSON(_ text: String?) {
        if let text { writeJSON(text) } else { writeStaticString("null") }
    }

    /// Writes elements between brackets.
    mutating func writeJSON<Element>(
        _ elements: some Sequence<Element>, _ write: (inout ByteBuffer, Element) -> Void
    ) {
        writeStaticString("[")
        var isFirst = true
        for element in elements {
            if !isFirst { writeStaticString(",") }
            isFirst = false
            write(&self, element)
        }
        writeStaticString("]")
    }
}

extension APIError {
    /// As the body of an answer.
    func write(to buffer: inout ByteBuffer) {
        buffer.writeStaticString("{\"error\":{\"message\":")
        buffer.writeJSON(message)
        buffer.writeStaticString(",\"type\":")
        buffer.writeJSON(type)
        buffer.writeStaticString(",\"param\":")
        buffer.writeJSON(param)
        buffer.writeStaticString(",\"code\":")
        buffer.writeJSON(code)
        buffer.writeStaticString("}}")
    }
}
