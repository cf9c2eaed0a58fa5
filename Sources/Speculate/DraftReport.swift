import Artifacts

/// What the training of a draft did: `draft.json` beside its weights.
package struct DraftReport: JSONArtifact, Hashable, Sendable {
    package static let noun = "draft report"
    package static let currentVersion = 1
    package static let largestFile = 256 << 20
    package static let file = "draft.json"

    /// On text that was not learnt from, by pass of training-time test.
    package struct Measurement: Codable, Hashable, Sendable {
        package let positions: Int
        package let loss: [Double]
        /// Mean of Σ min(p, q).
        package let overlap: [Double]
        /// Share of positions at which this pass and all before it guessed the target's likeliest token.
        package let agreement: [Double]

        /// Tokens that a step with a chain of `length` would bring in greedy decoding along this text.
        package func acceptanceLength(_ length: Int) -> Double {
            1 + agreement.prefix(length).reduce(0, +)
        }
    }

    package let version: Int
    /// Of the model that it drafts for.
    package let target: Fingerprint
    package let output: String
    package let settings: [String: JSONValue]
    package let device: String
    package let parameters: Int
    package let vocabularySize: Int
    /// Share of the training text's tokens that can be drafted.
    package let coverage: Double
    package let tokens: Int
    package let seconds: Double
    package let tokensPerSecond: Double
    package let before: Measurement?
    package let after: Measurement?
    package let curve: [HealReport.Point]

    package init(
        target: Fingerprint, output: String, settings: [String: JSONValue], device: String,
        parameters: Int, vocabularySize: Int, coverage: Double, tokens: Int, seconds: Double,
        tokensPerSecond: Double, before: Measurement?, after: Measurement?,
        curve: [HealReport.Point]
    ) {
        version = Self.currentVersion
        (self.target, self.output, self.settings) = (target, output, settings)
        (self.device, self.parameters) = (device, parameters)
        (self.vocabularySize, self.coverage) = (vocabularySize, coverage)
        (self.tokens, self.seconds, self.tokensPerSecond) = (tokens, seconds, tokensPerSecond)
        (self.before, self.after, self.curve) = (before, after, curve)
    }

    private enum CodingKeys: String, CodingKey {
        case version, target, output, settings, device, parameters, coverage, tokens, seconds,
            before, after, curve
        case vocabularySize = "draft_vocab_size"
        case tokensPerSecond = "tokens_per_second"
    }

    package func validate() throws(ManifestError) {
        guard version == Self.currentVersion else { throw .version(version, Self.currentVersion) }
    }
}
