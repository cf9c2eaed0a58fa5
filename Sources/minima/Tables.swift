extension Int {
    /// Digits in groups of three: 1,234,567.
    var grouped: String {
        let digits = String(magnitude)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return self < 0 ? "-" + text : text
    }
}

extension Array where Element == (String, String) {
    /// One line per pair, the second in a column.
    var aligned: String {
        let width = (map(\.0.count).max() ?? 0) + 2
        return map { $0.0 + String(repeating: " ", count: width - $0.0.count) + $0.1 }
            .joined(separator: "\n")
    }
}
