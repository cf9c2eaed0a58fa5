import Artifacts

/// What a draft brought along greedy text: the speed of the text with it and without, and how far its guesses were right.
struct DraftedTextFigure {
    let file: String
    let entries: [SpeculationEntry]

    /// The case that gained most, or lost least.
    var best: SpeculationEntry? { entries.max { $0.ratioToPlain < $1.ratioToPlain } }

    var figures: [Markup] {
        settings.flatMap { setting in
            [
                .tag("h3", "Measured: \(file)"), .tag("p", ["class": "note"], setting.words),
                Figure.grid(panels(of: entries.filter { Setting($0) == setting })),
            ]
        } + (fault.map { [$0] } ?? []) + [table.markup]
    }

    /// What is the same in all bars of a picture.
    private struct Setting: Hashable {
        let variant: ModelVariant
        let keep: Double
        let kv: String
        let context: Int
        let tokens: Int
        let draftLength: Int?

        init(_ entry: SpeculationEntry) {
            (variant, keep, kv) = (entry.variant, entry.keep, entry.kv)
            (context, tokens) = (entry.context, entry.tokens)
            draftLength = entry.draftLength
        }

        var words: String {
            [
                DraftedTextFigure.model(variant, keep: keep), "keys and values in \(kv)",
                "\(NumberText.grouped(tokens)) tokens behind \(NumberText.grouped(context))",
                draftLength.map { "chains of \($0)" } ?? "chains as long as pay",
            ].joined(separator: " · ")
        }
    }

    /// In the order of their first measurement.
    private var settings: [Setting] {
        var seen: Set<Setting> = []
        return entries.map(Setting.init).filter { seen.insert($0).inserted }
    }

    /// Every text should be what it is without a draft.
    private var fault: Markup? {
        let count = entries.filter { $0.sameTexts < $0.batch }.count
        guard count > 0 else { return nil }
        return .tag(
            "p", ["class": "numbers"],
            "In \(count) of \(entries.count) measurements some text differs with the draft from the text without."
        )
    }

    static func sequences(_ count: Int) -> String {
        "\(NumberText.grouped(count)) sequence\(count == 1 ? "" : "s")"
    }

    private static func model(_ variant: ModelVariant, keep: Double) -> String {
        switch variant {
        case .dense: "dense model"
        case .compressed: "\(NumberText.percent(keep)) of the linear parameters"
        }
    }

    static func ratio(_ entry: SpeculationEntry) -> String {
        "\(NumberText.short(entry.ratioToPlain))×"
    }

    // MARK: Figures

    private func panels(
        of entries: [SpeculationEntry]
    ) -> [(caption: String, drawing: Drawing)] {
        let speeds = BarChart(
            entries.flatMap { entry in
                [
                    BarChart.Bar(
                        name: Self.sequences(entry.batch), value: entry.plainTokensPerSecond,
                        words: NumberText.short(entry.plainTokensPerSecond), isOurs: false),
                    BarChart.Bar(
                        name: "with the draft, \(Self.ratio(entry))", value: entry.tokensPerSecond,
                        words: NumberText.short(entry.tokensPerSecond), isOurs: true),
                ]
            }
        ).drawing(label: "Tokens per second without the draft and with it")
        let acceptance = AcceptanceChart(
            entries.enumerated().map { index, entry in
                AcceptanceChart.Line(
                    name: Self.sequences(entry.batch), shares: entry.acceptedShares,
                    isOurs: index == 0)
            }
        ).drawing(label: "Guesses that were right in a row, by the number of sequences")
        return [("Tokens per second, all sequences", speeds)]
            + (acceptance.map { [("Guesses right in a row, greedy text", $0)] } ?? [])
    }

    private var table: DataTable {
        DataTable(
            title: "Every measurement",
            header: [
                "model", "keys and values", "chains", "right in a row", "sequences", "behind",
                "tokens", "guessed", "right", "tokens a step", "tokens/s without", "with", "ratio",
                "same texts",
            ],
            rows: entries.map { entry in
                [
                    Self.model(entry.variant, keep: entry.keep), entry.kv,
                    entry.draftLength.map(String.init) ?? "auto",
                    entry.acceptedShares.map(NumberText.percent).joined(separator: " "),
                    NumberText.grouped(entry.batch), NumberText.grouped(entry.context),
                    NumberText.grouped(entry.tokens), NumberText.grouped(entry.drafted),
                    NumberText.grouped(entry.accepted), NumberText.short(entry.acceptanceLength),
                    NumberText.short(entry.plainTokensPerSecond),
                    NumberText.short(entry.tokensPerSecond), Self.ratio(entry),
                    "\(NumberText.grouped(entry.sameTexts)) of \(NumberText.grouped(entry.batch))",
                ]
            }, words: 4)
    }
}
