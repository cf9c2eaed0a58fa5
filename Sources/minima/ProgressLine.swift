import Foundation

/// Shows how far a stage is: a bar with rate and time left on a terminal, plain lines elsewhere.
final class ProgressLine {
    private let label: String
    private let unit: String
    private var total: Int?
    private let isQuiet: Bool
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var start = Date()
    private let begun: Int
    private var lastShown = Date.distantPast
    private var lastTenth = 0
    private var isOpen = false

    /// - Parameters:
    ///   - unit: what is counted, in the plural.
    ///   - total: how many there will be, where that is known.
    ///   - begun: how many were done before, which the rate leaves out.
    ///   - isQuiet: show nothing; interruptions still count.
    init(_ label: String, unit: String, total: Int?, begun: Int = 0, isQuiet: Bool) {
        self.begun = begun
        self.label = label
        self.unit = unit
        self.total = total
        self.isQuiet = isQuiet
    }

    /// Shows that `done` of the total are complete.
    /// - Throws: `Interruption` where the user asked to stop.
    func update(_ done: Int, note: String = "") throws {
        try Interruption.check()
        guard !isQuiet else { return }
        let isLast = total.map { done >= $0 } ?? false
        if isTerminal {
            guard isLast || Date().timeIntervalSince(lastShown) > 0.1 else { return }
            write("\r\u{1B}[K" + line(done, note, bar: true))
            isOpen = true
        } else {
            // Every tenth, and at least every ten seconds.
            let tenth = total.map { $0 > 0 ? done * 10 / $0 : 10 } ?? 0
            guard tenth > lastTenth || Date().timeIntervalSince(lastShown) > 10 else { return }
            lastTenth = tenth
            write(line(done, note, bar: false) + "\n")
        }
        lastShown = Date()
    }

    /// The same where the first step tells how many there will be: time counts from there on.
    func update(_ done: Int, of total: Int, note: String = "") throws {
        if self.total == nil { start = Date() }
        self.total = total
        try update(done, note: note)
    }

    /// Ends the line.
    func finish() {
        if isOpen { write("\n") }
        isOpen = false
    }

    deinit { finish() }

    private func line(_ done: Int, _ note: String, bar: Bool) -> String {
        let seconds = max(Date().timeIntervalSince(start), 1e-3)
        let rate = Double(done - begun) / seconds
        var text = label
        if let total {
            if bar { text += " " + Self.bar(done, of: total) }
            text += " \(done)/\(total) \(unit)"
        } else {
            text += " \(done) \(unit)"
        }
        text += String(format: rate >= 10 ? "  %.0f/s" : "  %.2f/s", rate)
        if let total, done < total {
            text += "  \(Self.clock(Double(total - done) / rate)) left"
        } else {
            text += "  in \(Self.clock(seconds))"
        }
        return note.isEmpty ? text : text + "  " + note
    }

    private static func bar(_ done: Int, of total: Int) -> String {
        let width = 24
        let filled = total > 0 ? min(width, done * width / total) : width
        return String(repeating: "█", count: filled)
            + String(repeating: "░", count: width - filled)
    }

    private func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }

    private static func clock(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds < 1e7 else { return "?" }
        let whole = Int(seconds.rounded())
        return whole < 60
            ? "\(whole)s"
            : whole < 3600
                ? String(format: "%dm%02ds", whole / 60, whole % 60)
                : String(format: "%dh%02dm", whole / 3600, whole / 60 % 60)
    }
}
