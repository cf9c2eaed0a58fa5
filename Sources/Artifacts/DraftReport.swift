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

        package init(positions: Int, loss: [Double], overlap: [Double], agreement: [Double]) {
            (self.positions, self.loss) = (positions, loss)
            (self.overlap, self.agreement) = (overlap, agreement)
        }

        /// Lengths of chains that tell what a draft is worth: 4 and 7, or all guesses where fewer are trained.
        package var chains: [Int] {
            let known = [4, 7].filter { $0 <= agreement.count }
            return known.isEmpty ? [agreement.count] : known
        }

        /// Tokens that a step with a chain of `length` would bring in greedy decoding along this text.
        package func acceptanceLength(_ length: Int) -> Double {
            1 + agreement.prefix(length).reduce(0, +)
        }
    }

    package let version: Int
    /// Of the model that it drafts for.
    package let target: Fingerprint
    /// Of the dense checkpoint that the target was compressed from; of a dense target its own. Older files do not say.
    package let source: Fingerprint?
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
        target: Fingerprint, source: Fingerprint?, output: String, settings: [String: JSONValue],
        device: String, parameters: Int, vocabularySize: Int, coverage: Double, tokens: Int,
        seconds: Double, tokensPerSecond: Double, before: Measurement?, after: Measurement?,
        curve: [HealReport.Point]
    ) {
        version = Self.currentVersion
        (self.target, self.source) = (target, source)
        (self.output, self.settings) = (output, settings)
        (self.device, self.parameters) = (device, parameters)
        (self.vocabularySize, self.coverage) = (vocabularySize, coverage)
        (self.tokens, self.seconds, self.tokensPerSecond) = (tokens, seconds, tokensPerSecond)
        (self.before, self.after, self.curve) = (before, after, curve)
    }

    private enum CodingKeys: String, CodingKey {
        case version, target, source, output, settings, device, parameters, coverage, tokens,
            seconds, before, after, curve
        case vocabularySize = "draft_vocab_size"
        case tokensPerSecond = "tokens_per_second"
    }

    package func validate() throws(ManifestError) {
        guard version == Self.currentVersion else { throw .version(version, Self.currentVersion) }
        for (key, value) in [
            ("parameters", Double(parameters)), ("draft_vocab_size", Double(vocabularySize)),
            ("tokens", Double(tokens)), ("seconds", seconds),
            ("tokens_per_second", tokensPerSecond),
        ] {
            try Self.require(key, value, in: 0...ManifestError.most)
        }
        try Self.require("coverage", coverage, in: 0...1)
        for (key, measured) in [("before", before), ("after", after)] {
            guard let measured else { continue }
            try measured.validate(key)
        }
        if let before, let after, before.agreement.count != after.agreement.count {
            throw .quantity(
                "passes of after", Double(after.agreement.count),
                expected: "\(before.agreement.count), those of 'before'")
        }
        for point in curve { try point.validate() }
    }

    fileprivate static func require(
        _ key: String, _ value: Double, in range: ClosedRange<Double>
    ) throws(ManifestError) {
        if let fault = ManifestError.quantity(key, value, outside: range) { throw fault }
    }
}

extension DraftReport.Measurement {
    /// Shares of draws are sums of rounded numbers.
    private static let rounding = 1e-3

    fileprivate func validate(_ key: String) throws(ManifestError) {
        let passes = agreement.count
        guard passes > 0, loss.count == passes, overlap.count == passes else {
            throw .quantity(
                "passes of \(key)", Double(passes),
                expected: "the same number in 'agreement', 'loss' and 'overlap', 1 at least")
        }
        for value in agreement {
            try DraftReport.require("\(key).agreement", value, in: 0...1)
        }
        for value in overlap {
            try DraftReport.require("\(key).overlap", value, in: 0...1 + Self.rounding)
        }
        for value in loss {
            try DraftReport.require("\(key).loss", value, in: ManifestError.drawable)
        }
    }
}
