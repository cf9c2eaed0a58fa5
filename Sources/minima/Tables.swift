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

extension Array where Element == [String] {
    /// Rows of cells in columns: the first `texts` of them begin, and the others end, together.
    func columns(texts: Int) -> String {
        let count = map(\.count).max() ?? 0
        let widths = (0..<count).map { column in
            self.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return map { row in
            let cells = row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return column < texts ? cell + space : space + cell
            }
            return cells.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
