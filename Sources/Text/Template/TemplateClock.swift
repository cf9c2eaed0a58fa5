import Glibc

/// What time `strftime_now` tells.
package struct TemplateClock: Sendable {
    private let seconds: @Sendable () -> Int
    private let isLocal: Bool

    /// The system's clock, in the local time zone.
    package static let system = TemplateClock(isLocal: true) { Glibc.time(nil) }

    /// A clock that stands still, in UTC.
    /// - Parameter seconds: since 1970.
    package static func fixed(at seconds: Int) -> TemplateClock {
        TemplateClock(isLocal: false) { seconds }
    }

    private init(isLocal: Bool, _ seconds: @escaping @Sendable () -> Int) {
        self.isLocal = isLocal
        self.seconds = seconds
    }

    /// The time as `strftime` writes it.
    func text(_ format: String) throws(TemplateFault) -> String {
        if format.isEmpty { return "" }
        guard format.utf8.count <= 256, !format.utf8.contains(0) else {
            throw .limit("a time format of more than 256 bytes")
        }
        var moment = seconds()
        var parts = tm()
        if isLocal { localtime_r(&moment, &parts) } else { gmtime_r(&moment, &parts) }
        var buffer = [CChar](repeating: 0, count: 4096)
        // One character more tells an empty result from one that does not fit.
        let count = strftime(&buffer, buffer.count, format + "|", &parts)
        guard count > 0 else { throw .limit("a time of more than \(buffer.count) bytes") }
        return String(decoding: buffer[..<(count - 1)].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
