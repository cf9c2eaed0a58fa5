/// Where UTF-8 is well formed, incomplete or broken (Unicode 16, table 3-7).
enum UTF8Validity {
    enum Step: Equatable {
        /// One whole scalar of this many bytes.
        case scalar(length: Int)
        /// This many bytes that no scalar begins with: one U+FFFD replaces them.
        case broken(length: Int)
        /// The bytes up to the end begin a scalar that more bytes could finish.
        case incomplete(length: Int)
    }

    /// What stands at `position`, which must be inside `bytes`.
    static func step(in bytes: UnsafeBufferPointer<UInt8>, at position: Int) -> Step {
        let lead = bytes[position]
        if lead < 0x80 { return .scalar(length: 1) }
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch lead {
        case 0xC2...0xDF: length = 2
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: length = 3
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: length = 4
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return .broken(length: 1)
        }
        for offset in 1..<length {
            guard position + offset < bytes.count else { return .incomplete(length: offset) }
            let allowed = offset == 1 ? second : 0x80...0xBF
            if !allowed.contains(bytes[position + offset]) { return .broken(length: offset) }
        }
        return .scalar(length: length)
    }

    /// The offset of the first byte that is not part of a whole scalar.
    static func firstError(in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        var position = 0
        while position < bytes.count {
            if bytes[position] < 0x80 {
                position += asciiRun(in: bytes, at: position)
                continue
            }
            guard case .scalar(let length) = step(in: bytes, at: position) else { return position }
            position += length
        }
        return nil
    }

    /// How many bytes from `position` are surely ASCII; at least 1 when the first one is.
    private static func asciiRun(in bytes: UnsafeBufferPointer<UInt8>, at position: Int) -> Int {
        let raw = UnsafeRawBufferPointer(bytes)
        var end = position
        while end + 8 <= raw.count,
            raw.loadUnaligned(fromByteOffset: end, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
        {
            end += 8
        }
        return max(end - position, 1)
    }
}

/// One scalar read from UTF-8.
struct DecodedScalar {
    let value: UInt32
    let length: Int

    /// Reads at `position`. The bytes should be well formed; a broken sequence never reads past the
    /// end and counts as one scalar U+FFFD of one byte.
    @inline(__always)
    init(_ bytes: UnsafeBufferPointer<UInt8>, at position: Int) {
        let lead = UInt32(bytes[position])
        let left = bytes.count - position
        if lead < 0x80 {
            (value, length) = (lead, 1)
        } else if lead >= 0xC2, lead < 0xE0, left >= 2 {
            (value, length) = ((lead & 0x1F) << 6 | UInt32(bytes[position + 1] & 0x3F), 2)
        } else if lead >= 0xE0, lead < 0xF0, left >= 3 {
            value =
                (lead & 0x0F) << 12 | UInt32(bytes[position + 1] & 0x3F) << 6
                | UInt32(bytes[position + 2] & 0x3F)
            length = 3
        } else if lead >= 0xF0, lead < 0xF5, left >= 4 {
            value =
                (lead & 0x07) << 18 | UInt32(bytes[position + 1] & 0x3F) << 12
                | UInt32(bytes[position + 2] & 0x3F) << 6 | UInt32(bytes[position + 3] & 0x3F)
            length = 4
        } else {
            (value, length) = (0xFFFD, 1)
        }
    }
}
