/// Pieces that several figures share.
enum Figure {
    /// Panels side by side where the page is wide enough, each with a caption above it.
    static func grid(_ panels: [(caption: String, drawing: Drawing)], isSmall: Bool = false)
        -> Markup
    {
        .tag(
            "div", ["class": isSmall ? "panels small" : "panels"],
            panels.map { .tag("figure", [.tag("figcaption", $0.caption), $0.drawing.markup()]) })
    }

    /// A picture that may be wider than the page, which then scrolls within it.
    static func wide(_ caption: String, _ drawing: Drawing, _ legend: [Markup] = []) -> Markup {
        .tag(
            "figure",
            [
                .tag("figcaption", caption),
                .tag("div", ["class": "scroll"], [drawing.markup(isWide: true)]),
            ] + legend)
    }

    /// Colours and what they mean.
    /// - Parameter items: the class of the colour with the words.
    static func legend(_ items: [(swatch: String, words: String)]) -> Markup {
        .tag(
            "p", ["class": "legend"],
            items.map { item in
                .tag(
                    "span", ["class": "key"],
                    [.tag("i", ["class": "swatch \(item.swatch)"], ""), .text(item.words)])
            })
    }
}
