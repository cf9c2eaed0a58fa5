/// One part of the page: a heading, a sentence that says how to read it, figures and their numbers.
struct Section {
    /// As links name it.
    let anchor: String
    let title: String
    /// How to read the figures.
    let note: String
    let figures: [Markup]
    let tables: [DataTable]

    var markup: Markup {
        .tag(
            "section", ["id": anchor],
            [.tag("h2", title), .tag("p", ["class": "note"], note)] + figures
                + tables.map(\.markup))
    }
}

/// The numbers of a figure, folded away.
struct DataTable {
    let title: String
    let header: [String]
    let rows: [[String]]
    /// The first so many columns are words, and the others numbers.
    let words: Int

    var markup: Markup {
        .tag(
            "details",
            [
                .tag("summary", "\(title) · \(rows.count) row\(rows.count == 1 ? "" : "s")"),
                .tag("div", ["class": "scroll"], [table]),
            ])
    }

    var table: Markup {
        .tag(
            "table",
            [
                .tag("thead", [.tag("tr", cells(header, isHead: true))]),
                .tag("tbody", rows.map { .tag("tr", cells($0, isHead: false)) }),
            ])
    }

    private func cells(_ texts: [String], isHead: Bool) -> [Markup] {
        texts.enumerated().map { column, text in
            let alignment = column < words ? "word" : "number"
            if isHead { return .tag("th", ["scope": "col", "class": alignment], text) }
            return column == 0
                ? .tag("th", ["scope": "row", "class": alignment], text)
                : .tag("td", ["class": alignment], text)
        }
    }
}
