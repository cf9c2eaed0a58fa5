/// Named values as horizontal bars from zero. Where one is ours, every other bears a mark at its length; of several, at that of
/// the one that follows it, or else of the last.
struct BarChart {
    struct Bar {
        let name: String
        let value: Double
        /// The value as the page gives it.
        let words: String
        let isOurs: Bool
    }

    private let bars: [Bar]

    init(_ bars: [Bar]) { self.bars = bars }

    /// - Parameter label: what a reader who cannot see it is told.
    func drawing(label: String) -> Drawing {
        let (width, row) = (420.0, 38.0)
        let values = bars.map(\.value)
        let x = Scale(
            .linear, min(0, values.min() ?? 0)...max(0, values.max() ?? 0), to: (0, width - 76))
        let zero = x.position(0)
        var drawing = Drawing(width: width, height: Double(bars.count) * row + 4, label: label)
        for (index, bar) in bars.enumerated() {
            let y = Double(index) * row
            let end = x.position(bar.value)
            drawing.shapes.append(
                Drawing.text(
                    bar.name.shortened(to: 56), zero, y + 13,
                    class: bar.isOurs ? "label strong" : "label"))
            drawing.shapes.append(
                Drawing.rect(
                    min(zero, end), y + 18, max(1, abs(end - zero)), 14,
                    class: bar.isOurs ? "bar ours" : "bar", title: "\(bar.name): \(bar.words)"))
            // Beside the bars alone, so that no line crosses a word.
            drawing.shapes.append(Drawing.line([(zero, y + 16), (zero, y + 34)], class: "axis"))
            if let reference = reference(of: index) {
                let mark = x.position(reference)
                drawing.shapes.append(
                    Drawing.line([(mark, y + 17), (mark, y + 33)], class: "mark"))
            }
            drawing.shapes.append(
                Drawing.text(bar.words, max(zero, end) + 6, y + 29, class: "value"))
        }
        return drawing
    }

    /// The value that a bar which is not ours is compared with.
    private func reference(of index: Int) -> Double? {
        guard !bars[index].isOurs else { return nil }
        return (bars[index...].first(where: \.isOurs) ?? bars.last(where: \.isOurs))?.value
    }
}
