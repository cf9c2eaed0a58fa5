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

    /// Pictures of all blocks: side by side where the model has few, one below the other otherwise.
    static func blocks(_ figures: [Markup], count: Int) -> Markup {
        .tag("div", ["class": count > fewBlocks ? "panels stacked" : "panels"], figures)
    }

    static let fewBlocks = 16

    /// Width of a block in such a picture: narrower where there are many, so that most models fit on
    /// a page.
    static func blockWidth(_ count: Int, few: Double) -> Double {
        count > fewBlocks ? (count > 50 ? 12 : 18) : few
    }

    /// Whether the number of a block is written below it.
    static func isNumbered(_ index: Int, of count: Int) -> Bool {
        index % (count > fewBlocks ? (count > 50 ? 10 : 4) : 1) == 0
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
