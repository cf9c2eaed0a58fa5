import Artifacts

/// All entries of one model.
struct ModelComparison {
    let model: String
    let source: Fingerprint
    /// By method and budget, without ablations.
    let entries: [ComparisonEntry]
    /// Whose method's name starts with `ablation-`.
    let ablations: [ComparisonEntry]

    /// One for each model, in the order of their names.
    /// - Parameter entries: by model, method and budget.
    static func models(_ entries: [ComparisonEntry]) -> [ModelComparison] {
        var models: [ModelComparison] = []
        var start = 0
        while start < entries.count {
            let first = entries[start]
            let own = entries[start...].prefix { $0.model == first.model }
            models.append(
                ModelComparison(
                    model: first.model, source: first.source,
                    entries: own.filter { !$0.isAblation }, ablations: own.filter(\.isAblation)))
            start += own.count
        }
        return models
    }

    /// Ours first, the others by name.
    var methods: [String] {
        Set(entries.map(\.method)).sorted { a, b in
            (Self.isOurs(a) ? 0 : 1, a) < (Self.isOurs(b) ? 0 : 1, b)
        }
    }

    static func isOurs(_ method: String) -> Bool {
        method == "minima" || method.hasPrefix("minima-")
    }

    /// Names of the texts, in the order in which the entries give them.
    static func texts(_ entries: [ComparisonEntry]) -> [String] {
        var seen: Set<String> = []
        return entries.flatMap(\.texts).map(\.file).filter { seen.insert($0).inserted }
    }
}

extension ComparisonEntry {
    static let ablation = "ablation-"

    var isAblation: Bool { method.hasPrefix(Self.ablation) }

    func text(_ file: String) -> Text? { texts.first { $0.file == file } }
}

extension ComparisonEntry.Text {
    /// Rise of the perplexity over the dense model's, in percent.
    var rise: Double { (perplexity / densePerplexity - 1) * 100 }
}
