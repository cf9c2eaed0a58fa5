/// Ranges of code points as sequences of byte ranges: the UTF-8 of every code point of the range, and of
/// no other, is matched by exactly one sequence.
enum UTF8Ranges {
    /// Characters that stand for themselves in a JSON string.
    static let plain: [[ClosedRange<UInt8>]] =
        [0x20...0x21, 0x23...0x5B, 0x5D...0x10FFFF].flatMap { sequences(of: $0) }

    /// - Parameter range: code points; surrogates within it are left out.
    static func sequences(of range: ClosedRange<UInt32>) -> [[ClosedRange<UInt8>]] {
        let parts: [ClosedRange<UInt32>] = [
            0...0x7F, 0x80...0x7FF, 0x800...0xD7FF, 0xE000...0xFFFF, 0x10000...0x10FFFF,
        ]
        return parts.flatMap { part -> [[ClosedRange<UInt8>]] in
            guard range.overlaps(part) else { return [] }
            let clamped = range.clamped(to: part)
            return split(encode(clamped.lowerBound), encode(clamped.upperBound))
        }
    }

    private static func encode(_ value: UInt32) -> [UInt8] {
        Unicode.Scalar(value).flatMap { UTF8.encode($0) }.map { Array($0) } ?? []
    }

    /// - Parameters: the first and the last encoding, of the same length.
    private static func split(_ low: [UInt8], _ high: [UInt8]) -> [[ClosedRange<UInt8>]] {
        guard let first = low.first, let last = high.first else { return [] }
        if low.count == 1 { return [[first...last]] }
        let (lowRest, highRest) = (Array(low.dropFirst()), Array(high.dropFirst()))
        let lowest = Array(repeating: UInt8(0x80), count: lowRest.count)
        let highest = Array(repeating: UInt8(0xBF), count: lowRest.count)
        func prefixed(
            _ lead: ClosedRange<UInt8>, _ low: [UInt8], _ high: [UInt8]
        ) -> [[ClosedRange<UInt8>]] {
            split(low, high).map { [lead] + $0 }
        }
        if first == last { return prefixed(first...first, lowRest, highRest) }
        var result: [[ClosedRange<UInt8>]] = []
        var start = first
        var end = last
        if lowRest != lowest {
            result += prefixed(first...first, lowRest, highest)
            start += 1
        }
        if highRest != highest { end -= 1 }
        if start <= end { result += prefixed(start...end, lowest, highest) }
        if highRest != highest { result += prefixed(last...last, lowest, highRest) }
        return result
    }
}
