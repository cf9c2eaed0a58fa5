/// A protobuf message that could not be read.
struct ProtobufError: Error {
    let offset: Int
    let cause: String
}

/// Walks over the fields of one protobuf message; it needs no schema and never reads past the end.
struct ProtobufReader {
    struct Field {
        enum Value {
            case varint(UInt64)
            case fixed32(UInt32)
            case fixed64
            case bytes(ArraySlice<UInt8>)
        }

        let number: UInt64
        let value: Value
        let offset: Int

        func failure(_ cause: String) -> ProtobufError {
            ProtobufError(offset: offset, cause: cause)
        }

        func integer() throws(ProtobufError) -> UInt64 {
            guard case .varint(let value) = value else { throw failure("an integer was expected") }
            return value
        }

        func float() throws(ProtobufError) -> Float {
            guard case .fixed32(let bits) = value else { throw failure("a float was expected") }
            return Float(bitPattern: bits)
        }

        /// The bytes of a string or of a message inside this one.
        func message() throws(ProtobufError) -> ArraySlice<UInt8> {
            guard case .bytes(let bytes) = value else { throw failure("bytes were expected") }
            return bytes
        }
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// Nil at the end of the message.
    mutating func next() throws(ProtobufError) -> Field? {
        if rest.isEmpty { return nil }
        let offset = rest.startIndex
        let tag = try varint()
        let value: Field.Value
        switch tag & 7 {
        case 0: value = .varint(try varint())
        case 1:
            _ = try take(8)
            value = .fixed64
        case 2:
            let length = try varint()
            guard length <= UInt64(rest.count) else {
                throw ProtobufError(offset: offset, cause: "a field longer than the message")
            }
            value = .bytes(try take(Int(length)))
        case 5:
            value = .fixed32(
                try take(4).reversed().reduce(0) { $0 << 8 | UInt32($1) })
        default: throw ProtobufError(offset: offset, cause: "an unknown wire type \(tag & 7)")
        }
        return Field(number: tag >> 3, value: value, offset: offset)
    }

    private mutating func varint() throws(ProtobufError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 64 {
            let byte = try take(1).reduce(0) { $0 | $1 }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw ProtobufError(offset: rest.startIndex, cause: "an integer of more than 64 bits")
    }

    private mutating func take(_ count: Int) throws(ProtobufError) -> ArraySlice<UInt8> {
        guard rest.count >= count else {
            throw ProtobufError(offset: rest.startIndex, cause: "the end came early")
        }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }
}
