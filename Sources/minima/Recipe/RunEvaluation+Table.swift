import Artifacts
import Foundation

extension RunEvaluation {
    /// Dense, compressed and healed beside one another.
    /// - Parameter compression: says how large the models are.
    func table(_ compression: CompressionReport) -> String {
        let texts = models.first?.perplexity?.texts ?? []
        let header =
            ["model", "linear parameters", "bytes"]
            + texts.flatMap { [($0.file as NSString).lastPathComponent, "rise"] }
            + (texts.isEmpty ? [] : ["KL", "top-1"])
        let dense =
            [
                "dense", compression.linearParametersBefore.grouped,
                compression.bytesBefore.grouped,
            ] + texts.flatMap { [Self.perplexity($0.referencePerplexity), ""] }
        let rows = models.map { model in
            [
                model.name,
                (model.perplexity?.linearParameters ?? compression.linearParametersAfter).grouped,
                (model.perplexity?.bytes ?? compression.bytesAfter).grouped,
            ] + Self.measured(model.perplexity)
        }
        let tasks = models.compactMap { model in
            model.tasks.map { "\(model.name)\n\($0.table)" }
        }
        return ([([header, dense] + rows).columns(texts: 1)] + tasks).joined(separator: "\n\n")
    }

    private static func measured(_ report: EvaluationReport?) -> [String] {
        guard let report else { return [] }
        let texts = report.texts.flatMap { text in
            [
                perplexity(text.perplexity),
                text.referencePerplexity.map {
                    String(format: "%+.1f%%", 100 * (text.perplexity / $0 - 1))
                } ?? "",
            ]
        }
        return texts + [
            report.klMean.map { String(format: "%.4f", $0) } ?? "",
            report.top1Agreement.map { String(format: "%.1f%%", 100 * $0) } ?? "",
        ]
    }

    private static func perplexity(_ value: Double?) -> String {
        value.map { String(format: "%.3f", $0) } ?? ""
    }
}
