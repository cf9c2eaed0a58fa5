import Artifacts

/// The head of the page: what was looked at, and its best numbers.
struct Summary {
    let inputs: ReportInputs
    let models: [ModelComparison]
    let bytes: [BytesFigure]
    let drafts: [DraftFigure]
    let speculations: [DraftedTextFigure]
    let agreement: AgreementFigure?

    /// The name of the model of the map and the plans, or of all that were compared.
    var title: String {
        guard let source = inputs.source?.artifact else {
            let made = inputs.trainings.map(\.artifact.output) + drafts.map(\.name)
            return [models.map(\.model), made, speculations.map(\.file)].first { !$0.isEmpty }?
                .joined(separator: ", ") ?? ""
        }
        return models.first { $0.source == source }?.model ?? "checkpoint \(source.hex.prefix(12))"
    }

    var markup: Markup {
        .tag(
            "header",
            [
                .tag("p", ["class": "kind"], "Minima report"), .tag("h1", title),
                .tag("dl", ["class": "facts"], sources), .tag("ul", ["class": "cards"], cards),
            ])
    }

    private var sources: [Markup] {
        func fact(_ name: String, _ value: String) -> Markup {
            .tag("div", [.tag("dt", name), .tag("dd", value)])
        }
        var facts: [Markup] = []
        if let source = inputs.source?.artifact, !models.contains(where: { $0.source == source }) {
            facts.append(fact("checkpoint", source.hex))
        }
        for model in models {
            facts.append(
                fact(
                    models.count > 1 ? "checkpoint of \(model.model)" : "checkpoint",
                    model.source.hex))
        }
        if let map = inputs.sensitivity?.artifact {
            facts.append(fact("analysis", map.settings.words))
        }
        for plan in inputs.plans {
            facts.append(fact("plan \(plan.name)", plan.artifact.settings.words))
        }
        return facts
    }

    private func card(_ value: String, _ words: String) -> Markup {
        .tag("li", [.tag("strong", value), .tag("span", words)])
    }

    private var cards: [Markup] {
        var cards: [Markup] = []
        if let map = inputs.sensitivity?.artifact {
            let blocks = Set(map.matrices.compactMap { MatrixPlace($0.name).block }).count
            cards.append(
                card(
                    NumberText.grouped(map.parameterCount),
                    "parameters in \(map.matrices.count) matrices of \(blocks) blocks"))
            if let most = map.matrices.max(by: { $0.score < $1.score }) {
                let place = MatrixPlace(most.name)
                cards.append(
                    card(
                        place.block.map { "\(MatrixPlace.label(of: place.module)), block \($0)" }
                            ?? most.name, "the most sensitive matrix"))
            }
        }
        for figure in bytes {
            cards.append(
                card(
                    NumberText.percent(Double(figure.bytes) / Double(figure.denseBytes)),
                    "of the linear layers' bytes under \(figure.file)"
                        + (figure.plan.predictedKL.map { ", predicted KL \(NumberText.short($0))" }
                            ?? "")))
        }
        if let compression = inputs.compression?.artifact {
            let share = Double(compression.bytesAfter) / Double(max(1, compression.bytesBefore))
            cards.append(
                card(
                    NumberText.bytes(compression.bytesAfter),
                    "the compressed checkpoint, \(NumberText.percent(share)) of the dense one; \(NumberText.grouped(compression.calibrationTokens)) calibration tokens"
                ))
        }
        cards += drafts.compactMap { draft in
            draft.acceptance.first.map { chain, _, after in
                card(
                    NumberText.short(after),
                    "tokens a step with chains of \(chain) guesses by \(draft.name), held-out text")
            }
        }
        cards += speculations.compactMap { measured in
            measured.best.map { entry in
                card(
                    DraftedTextFigure.ratio(entry),
                    "the speed with a draft, \(DraftedTextFigure.sequences(entry.batch)), \(NumberText.short(entry.acceptanceLength)) tokens a step (\(measured.file))"
                )
            }
        }
        if let spearman = agreement?.spearman {
            cards.append(
                card(
                    NumberText.short(spearman),
                    "Spearman of predicted and measured KL, \(agreement?.count ?? 0) candidates"))
        }
        return cards + models.flatMap(best)
    }

    /// Our rise at each budget on the first text, beside the next best method's.
    private func best(_ model: ModelComparison) -> [Markup] {
        guard let text = ModelComparison.texts(model.entries).first else { return [] }
        let rises = model.entries.compactMap { entry in
            entry.text(text).map { (entry: entry, rise: $0.rise) }
        }
        return Set(model.entries.map(\.keep)).sorted(by: >).compactMap { keep in
            let here = rises.filter { $0.entry.keep == keep }
            let ours = here.filter { ModelComparison.isOurs($0.entry.method) }
                .min { $0.rise < $1.rise }
            let other = here.filter { !ModelComparison.isOurs($0.entry.method) }
                .min { $0.rise < $1.rise }
            guard let ours else { return nil }
            return card(
                NumberText.rise(ours.rise),
                "perplexity of \(model.model) on \(text), keeping \(NumberText.plain(keep * 100))%"
                    + (other.map { "; next \($0.entry.method), \(NumberText.rise($0.rise))" } ?? "")
            )
        }
    }
}

extension ReportInputs.Named {
    /// The file without its folder.
    var name: String { file.split(separator: "/").last.map(String.init) ?? file }
}

extension CompressionPlan {
    /// What its planner predicted, in nats per token.
    var predictedKL: Double? {
        switch settings["predicted_kl"] {
        case .number(let value): value
        case .integer(let value): Double(value)
        default: nil
        }
    }
}

extension [String: JSONValue] {
    /// On one line, by name.
    var words: String {
        sorted { $0.key < $1.key }.map { key, value in
            "\(key.replacing("_kl", with: " KL").replacing("_", with: " ")) \(value.words)"
        }.joined(separator: " · ")
    }
}

extension JSONValue {
    var words: String {
        switch self {
        case .null: "none"
        case .bool(let value): value ? "yes" : "no"
        case .integer(let value): NumberText.grouped(value)
        case .number(let value): NumberText.plain(value)
        case .string(let value): value
        case .array(let values): values.map(\.words).joined(separator: ", ")
        case .object(let members): "(" + members.words + ")"
        }
    }
}
