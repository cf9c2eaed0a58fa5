import Artifacts
import Foundation
import Heal
import Tensors

/// Shows what a training tells.
final class TrainingDisplay {
    private let label: String
    private let isQuiet: Bool
    /// Whether notes are shown.
    private let isHeard: Bool
    private var line: ProgressLine?
    private var shown = ""

    /// - Parameter processes: all but the first of them show nothing.
    init(_ label: String, isQuiet: Bool, of processes: ProcessGroup) {
        self.label = label
        self.isQuiet = isQuiet || !processes.leads
        isHeard = processes.leads
    }

    /// - Throws: `Interruption` where the user asked to stop.
    func tell(_ event: TrainingEvent) throws {
        try Interruption.check()
        switch event {
        case .encoding(let file, let bytes):
            let name = (file as NSString).lastPathComponent
            try show("encode \(name)", "bytes", nil, bytes, "")
        case .searching(let windows, let all):
            try show("search for evaluation text", "windows", all, windows, "")
        case .observing(let windows, let all):
            try show("keep the teacher's predictions", "windows", all, windows, "")
        case .writing(let windows, let all, let rate):
            try show(
                "write the ends of windows", "windows", all, windows,
                rate > 0 ? String(format: "%.0f tokens/s", rate) : "")
        case .measuring(let file):
            try show("measure", "texts", nil, 0, (file as NSString).lastPathComponent)
        case .note(let text):
            finish()
            guard isHeard else { return }
            FileHandle.standardError.write(Data("minima: \(text)\n".utf8))
        case .step(let progress):
            try show(label, "steps", progress.steps, progress.step, Self.note(progress))
        }
    }

    func finish() {
        line?.finish()
        (line, shown) = (nil, "")
    }

    private func show(
        _ title: String, _ unit: String, _ total: Int?, _ done: Int, _ note: String
    ) throws {
        if shown != title {
            finish()
            line = ProgressLine(title, unit: unit, total: total, begun: done, isQuiet: isQuiet)
            shown = title
        }
        try line?.update(done, note: note)
    }

    private static func note(_ progress: TrainingProgress) -> String {
        guard let last = progress.last else { return "" }
        var text = String(format: "loss %.4f", last.loss)
        if let divergence = last.divergence { text += String(format: "  KL %.4f", divergence) }
        text += String(format: "  next token %.4f", last.nextToken)
        return text + String(format: "  %.0f tokens/s", progress.tokensPerSecond)
    }
}

extension HealReport {
    /// The report as a person reads it.
    var table: String {
        var rows: [(String, String)] = []
        if let first = curve.first, let last = curve.last {
            rows.append(("loss", String(format: "%.4f → %.4f", first.loss, last.loss)))
            if let before = first.divergence, let after = last.divergence {
                rows.append(("KL", String(format: "%.4f → %.4f nats", before, after)))
            }
        }
        for text in evaluations {
            var values = String(
                format: "perplexity %.3f → %.3f", exp(text.lossBefore), exp(text.lossAfter))
            if let before = text.divergenceBefore, let after = text.divergenceAfter {
                values += String(format: "  KL %.4f → %.4f nats", before, after)
            }
            rows.append((text.file, values))
        }
        if let overlap {
            rows.append(
                (
                    "overlap",
                    String(
                        format: "%.2f%% of the evaluation text stands in the corpus",
                        100 * overlap.evaluationShare)
                ))
        }
        rows.append(
            (
                "trained",
                "\(trainedParameters.grouped) parameters, \(tokens.grouped) tokens, \(steps.grouped) steps"
            ))
        rows.append(
            (
                "micro-batch",
                "\(microBatchTokens.grouped) tokens, blocks run \(checkpointsBlocks ? "twice" : "once")"
            ))
        var speed = String(format: "%.0f tokens/s, %@, %@", tokensPerSecond, device, computeType)
        if let modelFlopsUtilisation {
            speed += String(format: ", %.1f%% of peak", 100 * modelFlopsUtilisation)
        }
        rows.append(("speed", speed))
        if let processes { rows.append(("processes", "\(processes)")) }
        rows.append(("time", String(format: "%.1f s", seconds)))
        rows.append(("written", output))
        return rows.aligned
    }
}
