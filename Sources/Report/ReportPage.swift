import Artifacts
import TensorNetworks

/// One HTML file that needs nothing else: what is known about a model, drawn.
///
/// The same artifacts give the same bytes.
package struct ReportPage {
    private let inputs: ReportInputs
    private let version: String
    private let models: [ModelComparison]
    private let bytes: [BytesFigure]
    private let drafts: [DraftFigure]
    private let speculations: [DraftedTextFigure]
    private let agreement: AgreementFigure?

    /// - Parameter version: of the program, for the page's foot.
    package init(_ inputs: ReportInputs, version: String) throws {
        self.inputs = inputs
        self.version = version
        // The model of the map and the plans before the others.
        let source = inputs.source?.artifact
        let compared = ModelComparison.models(inputs.comparisons.map(\.artifact))
        models = compared.filter { $0.source == source } + compared.filter { $0.source != source }
        bytes = try inputs.plans.map { try BytesFigure($0.artifact, file: $0.name) }
        drafts = inputs.drafts.map { DraftFigure(report: $0.artifact, source: source) }
        speculations = inputs.speculations.map {
            DraftedTextFigure(file: $0.name, entries: $0.artifact)
        }
        agreement = inputs.sensitivity.flatMap { AgreementFigure($0.artifact) }
    }

    /// The headings of the page's sections, in order.
    package var titles: [String] { sections.map(\.title) }

    /// Only those that there are data for.
    private var sections: [Section] {
        var sections: [Section] = []
        if let map = inputs.sensitivity?.artifact {
            sections.append(SensitivityFigure(map: map).section)
            if map.matrices.contains(where: { $0.spectrum.count > 1 }) {
                sections.append(SpectrumFigure(map: map).section)
            }
        }
        if !bytes.isEmpty { sections.append(BytesFigure.section(bytes)) }
        if let compression = inputs.compression?.artifact {
            sections.append(FitFigure(report: compression).section)
        }
        for (index, training) in inputs.trainings.enumerated() {
            sections.append(
                TrainingFigure(report: training.artifact, anchor: "training-\(index + 1)").section)
        }
        if let evaluation = inputs.evaluation?.artifact {
            sections.append(
                EvaluationFigure(
                    evaluation: evaluation, compression: inputs.compression?.artifact
                ).section)
        }
        if !drafts.isEmpty || !speculations.isEmpty {
            sections.append(SpeculationFigure(drafts: drafts, measured: speculations).section)
        }
        if let agreement { sections.append(agreement.section) }
        for (index, model) in models.enumerated() where !model.entries.isEmpty {
            sections.append(
                QualityFigure(comparison: model, anchor: "quality-\(index + 1)").section)
        }
        for (index, model) in models.enumerated() where !model.ablations.isEmpty {
            sections.append(
                AblationFigure(comparison: model, anchor: "ablations-\(index + 1)").section)
        }
        return sections
    }

    package var html: String {
        let summary = Summary(
            inputs: inputs, models: models, bytes: bytes, drafts: drafts,
            speculations: speculations, agreement: agreement)
        let sections = sections
        let contents: Markup = .tag(
            "nav", ["aria-label": "Sections"],
            sections.map { .tag("a", ["href": "#\($0.anchor)"], $0.title) })
        let page: Markup = .tag(
            "html", ["lang": "en"],
            [
                .tag(
                    "head",
                    [
                        .tag("meta", ["charset": "utf-8"], []),
                        .tag(
                            "meta",
                            ["name": "viewport", "content": "width=device-width, initial-scale=1"],
                            []),
                        .tag("meta", ["name": "color-scheme", "content": "light dark"], []),
                        .tag("meta", ["name": "generator", "content": "minima \(version)"], []),
                        .tag("title", "Minima report: \(summary.title)"),
                        .tag("style", [.style(PageStyle.sheet)]),
                    ]),
                .tag(
                    "body",
                    [.tag("main", [summary.markup, contents] + sections.map(\.markup) + [foot])]),
            ])
        return "<!DOCTYPE html>\n" + page.rendered + "\n"
    }

    private var foot: Markup {
        let files =
            (inputs.sensitivity.map { [$0.name] } ?? []) + inputs.plans.map(\.name)
            + (inputs.compression.map { [$0.name] } ?? []) + inputs.trainings.map(\.name)
            + (inputs.evaluation.map { [$0.name] } ?? []) + inputs.drafts.map(\.name)
            + inputs.speculations.map(\.name)
            + (inputs.comparisons.isEmpty
                ? [] : ["\(NumberText.grouped(inputs.comparisons.count)) comparisons"])
        return .tag(
            "footer",
            [
                .tag("p", "minima \(version), from \(files.joined(separator: ", "))")
            ])
    }
}
