import Artifacts
import Compare
import Foundation

/// What `minima compare` shows: per text, methods against budgets; what is stored; and who wins.
struct ComparisonTable {
    private let entries: [ComparisonEntry]
    private let skipped: [CompareStage.Skipped]
    /// Largest first.
    private let keeps: [Double]
    /// In the order of `ComparedMethod`, and after them any that this version does not know.
    private let methods: [String]

    init(_ result: CompareStage.Result) {
        entries = result.entries
        skipped = result.skipped
        keeps = Set(entries.map(\.keep)).sorted(by: >)
        let found = Set(entries.map(\.method))
        let known = ComparedMethod.all.map(\.rawValue)
        methods = known.filter(found.contains) + found.subtracting(known).sorted()
    }

    var text: String {
        guard let first = entries.first else { return (["nothing was measured"] + reasons).lines }
        return
            (first.texts.indices.map { table(ofText: $0) } + [sizes, verdicts.lines, reasons.lines])
            .filter { !$0.isEmpty }.joined(separator: "\n\n")
    }

    private func entry(_ method: String, _ keep: Double) -> ComparisonEntry? {
        entries.first { $0.method == method && $0.keep == keep }
    }

    private static func rise(_ text: ComparisonEntry.Text) -> Double {
        100 * (text.perplexity / text.densePerplexity - 1)
    }

    private static func shown(_ rise: Double) -> String {
        switch rise {
        case ..<100: String(format: "%+.1f%%", rise)
        case ..<1e6: String(format: "%+.0f%%", rise)
        default: String(format: "%+.0e%%", rise)
        }
    }

    // MARK: Tables

    private func table(ofText index: Int) -> String {
        guard let text = entries.first?.texts[index] else { return "" }
        let best = keeps.map { keep in self.best(keep, index, among: methods) }
        let rows = methods.map { method in
            [method]
                + zip(keeps, best).flatMap { keep, best -> [String] in
                    guard let found = entry(method, keep)?.texts[index] else {
                        return ["–", "", ""]
                    }
                    return [
                        Self.shown(Self.rise(found)) + (method == best ? " *" : "  "),
                        String(format: found.klMean < 100 ? "%.4f" : "%.0e", found.klMean),
                        String(format: "%.1f%%", 100 * found.top1Agreement),
                    ]
                }
        }
        let header = ["method"] + keeps.flatMap { ["at \($0)  ", "KL", "top-1"] }
        let dense = String(format: "%.3f", text.densePerplexity)
        return
            "\(text.file): perplexity above the dense model's \(dense), KL in nats per token, top-1 agreement; * the best of \(text.tokens.grouped) tokens\n"
            + ([header] + rows).columns(texts: 1)
    }

    private var sizes: String {
        guard let first = entries.first else { return "" }
        let rows = methods.map { method in
            [method]
                + keeps.flatMap { keep -> [String] in
                    guard let found = entry(method, keep) else { return ["–", "", ""] }
                    return [
                        found.linearParametersAfter.grouped, found.bytesAfter.grouped,
                        String(format: "%.1f", found.compressSeconds),
                    ]
                }
        }
        let header = ["method"] + keeps.flatMap { ["at \($0): parameters", "bytes", "seconds"] }
        return
            "stored: parameters of linear layers, of \(first.linearParametersBefore.grouped); all bytes, of \(first.bytesBefore.grouped)\n"
            + ([header] + rows).columns(texts: 1)
    }

    // MARK: Verdicts

    /// The method with the least perplexity, the first of equals.
    private func best(_ keep: Double, _ text: Int, among methods: [String]) -> String? {
        methods.filter { entry($0, keep) != nil }.min {
            (entry($0, keep)?.texts[text].perplexity ?? .infinity)
                < (entry($1, keep)?.texts[text].perplexity ?? .infinity)
        }
    }

    /// Ours against the best of the others, at every budget and on every text.
    private var verdicts: [String] {
        let ours = ComparedMethod.minima.rawValue
        let others = methods.filter { ComparedMethod(rawValue: $0)?.isOurs != true }
        var lines: [String] = []
        for keep in keeps {
            guard let mine = entry(ours, keep) else { continue }
            for (index, text) in mine.texts.enumerated() {
                guard let other = best(keep, index, among: others),
                    let theirs = entry(other, keep)?.texts[index]
                else { continue }
                let isAhead = text.perplexity <= theirs.perplexity
                lines.append(
                    "\(isAhead ? "ahead" : "BEHIND") at \(keep) on \(text.file): \(ours) \(Self.shown(Self.rise(text))), best of the others \(other) \(Self.shown(Self.rise(theirs)))"
                )
            }
        }
        return lines
    }

    private var reasons: [String] {
        skipped.map { "skipped \($0.method) at \($0.keep): \($0.reason)" }
    }
}

extension [String] {
    fileprivate var lines: String { joined(separator: "\n") }
}
