/// Watches streamed text for stop strings and holds back what may be the beginning of one.
package struct StopScanner {
    private let stops: [[UInt8]]
    private var held: [UInt8] = []
    /// Whether a stop string has come; nothing is let through after it.
    package private(set) var isStopped = false

    /// - Parameter stops: empty strings are ignored.
    package init(_ stops: [String]) {
        self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }
    }

    /// Text that may be shown now that `piece` has come: everything before the earliest stop string.
    package mutating func admit(_ piece: String) -> String {
        guard !isStopped else { return "" }
        guard !stops.isEmpty else { return piece }
        held += piece.utf8
        if let end = earliestStop() {
            isStopped = true
            defer { held = [] }
            return String(decoding: held[..<end], as: UTF8.self)
        }
        // A stop string is whole characters, so no cut made here splits one: the bytes held back
        // begin with a stop string's first byte.
        let cut = held.count - longestPartialStop()
        defer { held.removeFirst(cut) }
        return String(decoding: held[..<cut], as: UTF8.self)
    }

    /// Text still held back when no more will come.
    package mutating func finish() -> String {
        defer { held = [] }
        return isStopped ? "" : String(decoding: held, as: UTF8.self)
    }

    /// Where the stop string begins that is complete first, the longest of those that end together: the
    /// same place however the text was cut into pieces.
    private func earliestStop() -> Int? {
        for end in 0...held.count {
            let complete = stops.filter { held[..<end].suffix($0.count).elementsEqual($0) }
            if let longest = complete.map(\.count).max() { return end - longest }
        }
        return nil
    }

    private func longestPartialStop() -> Int {
        let longest = (stops.map(\.count).max() ?? 1) - 1
        return (0...min(longest, held.count)).last { length in
            stops.contains { $0.starts(with: held.suffix(length)) }
        } ?? 0
    }
}
