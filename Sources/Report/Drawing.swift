/// An SVG picture with its size, and the shapes that the figures are made of. Colours come from the
/// page's style sheet, by class.
struct Drawing {
    let width: Double
    let height: Double
    /// What it shows, for readers who do not see it.
    let label: String
    var shapes: [Markup] = []

    init(width: Double, height: Double, label: String) {
        self.width = width
        self.height = height
        self.label = label
    }

    /// - Parameter isWide: whether it keeps its size and scrolls where the page is narrower.
    func markup(isWide: Bool = false) -> Markup {
        let (w, h) = (NumberText.coordinate(width), NumberText.coordinate(height))
        return .tag(
            "svg",
            [
                "xmlns": "http://www.w3.org/2000/svg", "viewBox": "0 0 \(w) \(h)", "width": w,
                "height": h, "role": "img", "aria-label": label,
                "class": isWide ? "wide" : "fit",
            ], shapes)
    }

    static func rect(
        _ x: Double, _ y: Double, _ width: Double, _ height: Double, class name: String,
        title: String? = nil
    ) -> Markup {
        .tag(
            "rect",
            [
                "x": NumberText.coordinate(x), "y": NumberText.coordinate(y),
                "width": NumberText.coordinate(max(0, width)),
                "height": NumberText.coordinate(max(0, height)), "class": name,
            ], tooltip(title))
    }

    static func circle(
        _ x: Double, _ y: Double, radius: Double, class name: String, title: String? = nil
    ) -> Markup {
        .tag(
            "circle",
            [
                "cx": NumberText.coordinate(x), "cy": NumberText.coordinate(y),
                "r": NumberText.coordinate(radius), "class": name,
            ], tooltip(title))
    }

    /// A line through points.
    /// - Parameter depth: from 0, the model's beginning, to 1; colours the line.
    static func line(
        _ points: [(x: Double, y: Double)], class name: String, depth: Double? = nil,
        title: String? = nil
    ) -> Markup {
        let path = points.enumerated().map { index, point in
            "\(index == 0 ? "M" : "L")\(NumberText.coordinate(point.x)) \(NumberText.coordinate(point.y))"
        }.joined()
        var attributes: [(name: StaticString, value: String)] = [("d", path), ("class", name)]
        if let depth {
            attributes.append(("style", "--depth:\(Int((depth * 100).rounded()))%"))
        }
        return .element("path", attributes, tooltip(title))
    }

    enum Anchor: String { case start, middle, end }

    static func text(
        _ text: String, _ x: Double, _ y: Double, _ anchor: Anchor = .start,
        class name: String = "label"
    ) -> Markup {
        .tag(
            "text",
            [
                "x": NumberText.coordinate(x), "y": NumberText.coordinate(y),
                "text-anchor": anchor.rawValue, "class": name,
            ], text)
    }

    private static func tooltip(_ title: String?) -> [Markup] {
        title.map { [.tag("title", $0)] } ?? []
    }

    /// How wide a text of the figures' size is, about: in a wide system font.
    static func width(of text: String, size: Double = 13) -> Double {
        Double(text.count) * size * 0.6
    }
}
