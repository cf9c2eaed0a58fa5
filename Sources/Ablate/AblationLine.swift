import Artifacts
import Evaluate
import Foundation

/// A row and one of its texts, as a line of a table of results; ratios are to the dense model's.
package struct AblationLine: BenchmarkRow {
    package let row: String
    package let text: String
    package let scoredTokens: Int
    package let perplexity: Double
    package let perplexityRatio: Double
    package let linearParameters: Int
    package let linearRatio: Double
    package let parameters: Int
    package let bytes: Int
    package let bytesRatio: Double
    package let batch: Int
    package let tokensPerSecond: Double
    package let speedRatio: Double
    /// Tokens that a step with a draft brought on average.
    package let acceptanceLength: Double?

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case row, text
        case scoredTokens = "scored_tokens"
        case perplexity
        case perplexityRatio = "perplexity_ratio"
        case linearParameters = "linear_parameters"
        case linearRatio = "linear_ratio"
        case parameters, bytes
        case bytesRatio = "bytes_ratio"
        case batch
        case tokensPerSecond = "tokens_per_second"
        case speedRatio = "speed_ratio"
        case acceptanceLength = "acceptance_length"
    }

    /// - Parameter dense: the first row, of the same texts.
    package init(_ entry: AblationEntry, _ text: Int, over dense: AblationEntry) {
        let measured = entry.texts[text]
        (row, self.text) = (entry.row, measured.file)
        (scoredTokens, perplexity) = (measured.tokens, measured.perplexity)
        perplexityRatio = measured.perplexity / dense.texts[text].perplexity
        linearParameters = entry.size.linearParameters
        linearRatio = Double(linearParameters) / Double(dense.size.linearParameters)
        (parameters, bytes) = (entry.size.parameters, entry.size.bytes)
        bytesRatio = Double(bytes) / Double(dense.size.bytes)
        (batch, tokensPerSecond) = (entry.speed.batch, entry.speed.tokensPerSecond)
        speedRatio = tokensPerSecond / dense.speed.tokensPerSecond
        acceptanceLength = entry.speed.acceptanceLength
    }

    /// - Parameter entries: as `AblationStage` returns them.
    package static func lines(_ entries: [AblationEntry]) -> [AblationLine] {
        guard let dense = entries.first else { return [] }
        return entries.flatMap { entry in
            entry.texts.indices.map { AblationLine(entry, $0, over: dense) }
        }
    }

    package func text(of column: CodingKeys) -> String {
        switch column {
        case .row: row
        // A name may hold what separates columns.
        case .text:
            text.contains(where: { ",\"\n".contains($0) })
                ? "\"\(text.replacing("\"", with: "\"\""))\"" : text
        case .scoredTokens: "\(scoredTokens)"
        case .perplexity: String(format: "%.4f", perplexity)
        case .perplexityRatio: String(format: "%.4f", perplexityRatio)
        case .linearParameters: "\(linearParameters)"
        case .linearRatio: String(format: "%.4f", linearRatio)
        case .parameters: "\(parameters)"
        case .bytes: "\(bytes)"
        case .bytesRatio: String(format: "%.4f", bytesRatio)
        case .batch: "\(batch)"
        case .tokensPerSecond: String(format: "%.1f", tokensPerSecond)
        case .speedRatio: String(format: "%.3f", speedRatio)
        case .acceptanceLength: acceptanceLength.map { String(format: "%.3f", $0) } ?? ""
        }
    }
}
