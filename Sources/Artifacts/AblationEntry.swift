/// One row of `minima bench ablation`: a checkpoint and a way to decode it, measured.
package struct AblationEntry: JSONArtifact, Hashable, Sendable {
    package static let noun = "ablation row"
    package static let currentVersion = 1
    package static let largestFile = 16 << 20

    /// What was measured on one text.
    package struct Text: Codable, Hashable, Sendable {
        /// Name of the file, without its folder.
        package let file: String
        /// Predicted tokens.
        package let tokens: Int
        package let perplexity: Double

        /// - Parameter perplexity: of a ruined model it may exceed all bounds; it is kept as the largest number.
        package init(file: String, tokens: Int, perplexity: Double) {
            (self.file, self.tokens) = (file, tokens)
            self.perplexity = perplexity.isFinite ? perplexity : .greatestFiniteMagnitude
        }
    }

    /// What is stored.
    package struct Size: Codable, Hashable, Sendable {
        /// Values of the blocks' linear layers.
        package let linearParameters: Int
        /// All values, those of a draft too.
        package let parameters: Int
        /// Of all tensors, those of a draft too.
        package let bytes: Int

        package init(linearParameters: Int, parameters: Int, bytes: Int) {
            self.linearParameters = linearParameters
            (self.parameters, self.bytes) = (parameters, bytes)
        }

        private enum CodingKeys: String, CodingKey {
            case parameters, bytes
            case linearParameters = "linear_parameters"
        }
    }

    /// Greedy generation.
    package struct Speed: Codable, Hashable, Sendable {
        /// Sequences side by side.
        package let batch: Int
        /// Of all sequences together, the median of `samples`.
        package let tokensPerSecond: Double
        package let samples: [Double]
        /// Tokens that a step with a draft brought on average, where there were such steps.
        package let acceptanceLength: Double?
        /// Of the tokens that were generated.
        package let text: Fingerprint

        package init(
            batch: Int, tokensPerSecond: Double, samples: [Double], acceptanceLength: Double?,
            text: Fingerprint
        ) {
            (self.batch, self.tokensPerSecond, self.samples) = (batch, tokensPerSecond, samples)
            (self.acceptanceLength, self.text) = (acceptanceLength, text)
        }

        private enum CodingKeys: String, CodingKey {
            case batch, samples, text
            case tokensPerSecond = "tokens_per_second"
            case acceptanceLength = "acceptance_length"
        }
    }

    package let version: Int
    /// The dense checkpoint.
    package let source: Fingerprint
    /// Its name, as in "mixed-formats".
    package let row: String
    /// How it was measured.
    package let settings: [String: JSONValue]
    package let size: Size
    package let speed: Speed
    package let texts: [Text]

    package init(
        source: Fingerprint, row: String, settings: [String: JSONValue], size: Size, speed: Speed,
        texts: [Text]
    ) {
        version = Self.currentVersion
        (self.source, self.row, self.settings) = (source, row, settings)
        (self.size, self.speed, self.texts) = (size, speed, texts)
    }

    package func validate() throws(ManifestError) {
        guard version == Self.currentVersion else { throw .version(version, Self.currentVersion) }
        for (key, value) in [("tokens_per_second", speed.tokensPerSecond)]
            + texts.map({ ("perplexity", $0.perplexity) })
        where !(value.isFinite && value > 0) {
            throw .number(key, value, matrix: row, expected: "a number above 0")
        }
    }
}
