import Analyze
import ArgumentParser
import Artifacts
import Calibration
import Foundation

struct PredictorEvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Say how good predictions are, on a model that was measured.",
        discussion: """
            Needs the measurements of `minima predictor measure` with the same options. For every way of \
            predicting: Spearman's correlation with what was measured on candidates that it had not seen, \
            and the regret of its plan, the sum of measured divergences over that of the plan made from \
            the measurements. Held-out blocks are predicted from all others, a held-out model from the \
            weights of --predictor, which must not have been trained on it.

              minima predictor evaluate Models/tiny --calibration text.txt.xz --predictor small.safetensors
            """)

    @Argument(help: "Folder of the dense model.", completion: .directory)
    var model: String

    @Option(help: "Weights of `minima predictor train`, learnt from other models.")
    var predictor: String?

    @Option(help: "Numbers of probes to predict from.")
    var probes: [Int] = [12, 24, 64]

    @OptionGroup var measured: MeasuredOptions
    @OptionGroup var result: OutputOptions

    func run() throws {
        let prior = try predictor.map { try SensitivityPredictor(reading: $0) }
        let isQuiet = result.quiet || result.json
        let (stage, sample) = try measured.stage(of: model, isQuiet: isQuiet)
        let found = try stage.keys(of: sample).compactMap(stage.store.measurement)
        guard found.count == sample.count else {
            throw PredictorError.incomplete(
                measured: found.count, wanted: sample.count, store: stage.store.path)
        }
        let checkpoint = try Checkpoint(model)
        let evaluation = PredictorEvaluation(
            stage.map, features: try ModelFeatures(of: stage.map, in: checkpoint), sample: sample,
            measurements: found)
        let line = ProgressLine("evaluate", unit: "ways", total: nil, isQuiet: isQuiet)
        var done = 0
        let rows = try evaluation.rows(
            probes: probes, prior: prior, heuristics: try evaluation.heuristics(checkpoint)
        ) { note in
            try line.update(done, note: note)
            done += 1
        }
        line.finish()
        let summary = EvaluationSummary(
            model: model, measurements: found.count,
            candidates: stage.map.matrices.reduce(0) { $0 + $1.candidates.count }, rows: rows)
        if result.json { try result.printJSON(summary) } else { print(summary.table) }
    }
}

private struct EvaluationSummary: Encodable {
    let model: String
    let measurements: Int
    let candidates: Int
    let rows: [PredictorEvaluation.Row]

    var table: String {
        func text(_ value: Double?) -> String {
            value.map { String(format: "%.3f", $0) } ?? "–"
        }
        let shares = PredictorEvaluation.regretShares
        let header =
            ["way", "parts", "probes", "Spearman", "at 0.65", "ln error"]
            + shares.map { String(format: "regret %.2f", $0) }
        let lines = rows.map { row in
            [
                row.method, row.note, "\(row.probes)", text(row.spearman), text(row.spearmanAt65),
                text(row.logError),
            ] + row.regrets.map { String(format: "%.1f%%", 100 * $0) }
        }
        return ([header] + lines).columns(texts: 2)
            + "\n\njudged by \(measurements) measurements; the map has \(candidates) candidates"
    }
}
