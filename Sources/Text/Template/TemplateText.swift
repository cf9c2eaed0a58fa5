/// A string with Python's semantics: equal when its code points are, not when they are canonically
/// equivalent as Swift's; lengths and positions count code points. Held as UTF-8.
package struct TemplateText: Hashable, Sendable {
    package private(set) var bytes: [UInt8]
    /// Whether the template declared it to be markup (`|safe`, `|escape`): what is added to it is
    /// escaped, as markupsafe does.
    var isMarkup = false

    /// - Parameter bytes: valid UTF-8.
    init(bytes: [UInt8]) { self.bytes = bytes }
    package init(_ string: String) { bytes = Array(string.utf8) }

    package var string: String { String(decoding: bytes, as: UTF8.self) }
    var isEmpty: Bool { bytes.isEmpty }

    package static func == (left: TemplateText, right: TemplateText) -> Bool {
        left.bytes == right.bytes
    }
    package func hash(into hasher: inout Hasher) { hasher.combine(bytes) }

    /// Order by code points, which for UTF-8 is that of the bytes.
    static func < (left: TemplateText, right: TemplateText) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }

    /// The number of code points.
    var count: Int { Self.scalarCount(bytes[...]) }

    var scalars: [Unicode.Scalar] { Array(string.unicodeScalars) }

    init(_ scalars: some Sequence<Unicode.Scalar>) {
        bytes = []
        for scalar in scalars { bytes.append(contentsOf: UTF8.encode(scalar) ?? .init()) }
    }

    mutating func append(_ other: TemplateText) { bytes.append(contentsOf: other.bytes) }
    mutating func append(_ other: [UInt8]) { bytes.append(contentsOf: other) }
    mutating func append(_ other: StaticString) {
        other.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    static func scalarCount(_ bytes: ArraySlice<UInt8>) -> Int {
        bytes.reduce(0) { $1 & 0xC0 == 0x80 ? $0 : $0 + 1 }
    }

    /// The byte position of the first occurrence of `pattern` at or behind `start`.
    func find(_ pattern: [UInt8], from start: Int = 0) -> Int? {
        guard let first = pattern.first else { return start <= bytes.count ? start : nil }
        guard bytes.count >= pattern.count else { return nil }
        return bytes.withUnsafeBufferPointer { bytes in
            pattern.withUnsafeBufferPointer { pattern in
                var position = start
                let last = bytes.count - pattern.count
                search: while position <= last {
                    if bytes[position] == first {
                        var offset = 1
                        while offset < pattern.count {
                            if bytes[position + offset] != pattern[offset] {
                                position += 1
                                continue search
                            }
                            offset += 1
                        }
                        return position
                    }
                    position += 1
                }
                return nil
            }
        }
    }

    /// The byte positions of all occurrences that do not overlap, from the left.
    func occurrences(of pattern: [UInt8]) -> [Int] {
        var found: [Int] = []
        var position = 0
        while let next = find(pattern, from: position) {
            found.append(next)
            position = next + max(pattern.count, 1)
        }
        return found
    }

    /// Characters that HTML gives a meaning, spelled as markupsafe does.
    var escaped: TemplateText {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + 16)
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "&"): result.append(contentsOf: "&amp;".utf8)
            case UInt8(ascii: "<"): result.append(contentsOf: "&lt;".utf8)
            case UInt8(ascii: ">"): result.append(contentsOf: "&gt;".utf8)
            case UInt8(ascii: "'"): result.append(contentsOf: "&#39;".utf8)
            case UInt8(ascii: "\""): result.append(contentsOf: "&#34;".utf8)
            default: result.append(byte)
            }
        }
        var text = TemplateText(bytes: result)
        text.isMarkup = true
        return text
    }

    /// Python's `str.isspace` for one code point.
    static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029,
            0x202F, 0x205F, 0x3000:
            true
        default: false
        }
    }
}
