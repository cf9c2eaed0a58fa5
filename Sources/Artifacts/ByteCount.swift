/// A number of bytes as people write it: `40GiB`, `1.2 GB`, `1073741824`.
package struct ByteCount: Hashable, Sendable {
    package let bytes: Int

    package init(_ bytes: Int) { self.bytes = bytes }

    /// Reads digits with an optional fraction and an optional unit, upper or lower case; a fraction
    /// of a byte is dropped. KiB, MiB, GiB and TiB are powers of 1,024; KB, MB, GB and TB of 1,000.
    /// - Returns: `nil` for anything else, and for what `Int` cannot hold.
    package init?(_ text: String) {
        let number = text.prefix { $0.isASCII && $0.isNumber || $0 == "." }
        let unit = text.dropFirst(number.count).drop { $0 == " " }
        guard let scale = Self.units[unit.lowercased()],
            number.first?.isNumber == true, number.last?.isNumber == true,
            let value = Double(number)
        else { return nil }
        if let whole = Int(number) {
            let (bytes, overflow) = whole.multipliedReportingOverflow(by: scale)
            guard !overflow else { return nil }
            self.bytes = bytes
        } else {
            guard let bytes = Int(exactly: (value * Double(scale)).rounded(.down)) else {
                return nil
            }
            self.bytes = bytes
        }
    }

    private static let units = [
        "": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
        "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000, "tb": 1_000_000_000_000,
    ]
}
