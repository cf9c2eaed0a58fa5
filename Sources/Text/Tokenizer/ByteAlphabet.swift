/// The byte-level alphabet of GPT-2: every byte written as one printable scalar, so that a vocabulary
/// of bytes can stand in a JSON file. Printable Latin-1 stands for itself, the other 68 bytes for
/// U+0100 onwards.
enum ByteAlphabet {
    /// Scalar of each byte.
    static let scalars: [UInt32] = {
        var next: UInt32 = 0x100
        return (UInt32(0)..<256).map { byte in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return byte
            default:
                defer { next += 1 }
                return next
            }
        }
    }()

    /// Byte of each scalar below U+0144; nil where no byte is meant.
    private static let bytes: [UInt8?] = {
        var table = [UInt8?](repeating: nil, count: 0x144)
        for (byte, scalar) in scalars.enumerated() { table[Int(scalar)] = UInt8(byte) }
        return table
    }()

    /// The UTF-8 of the scalar that stands for `byte`.
    static func spelling(of byte: UInt8) -> [UInt8] {
        let scalar = scalars[Int(byte)]
        if scalar < 0x80 { return [UInt8(scalar)] }
        return [UInt8(0xC0 | scalar >> 6), UInt8(0x80 | scalar & 0x3F)]
    }

    /// Appends the bytes that `token` stands for; false (and nothing appended) if a scalar in it is
    /// not of the alphabet.
    static func decode(
        _ token: UnsafeBufferPointer<UInt8>, into output: inout [UInt8]
    ) -> Bool {
        let start = output.count
        var position = 0
        while position < token.count {
            let scalar = DecodedScalar(token, at: position)
            guard scalar.value < 0x144, let byte = bytes[Int(scalar.value)] else {
                output.removeSubrange(start...)
                return false
            }
            output.append(byte)
            position += scalar.length
        }
        return true
    }
}
