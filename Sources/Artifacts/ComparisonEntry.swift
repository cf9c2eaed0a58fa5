import TensorNetworks

/// One method at one budget on one model, without healing: a point of `minima compare`.
package struct ComparisonEntry: JSONArtifact, Hashable, Sendable {
    package static let noun = "comparison"
    package static let currentVersion = 1
    package static let largestFile = 16 << 20

    /// What was measured on one text.
    package struct Text: Codable, Hashable, Sendable {
        /// Name of the file, without its folder.
        package let file: String
        /// Predicted tokens.
        package let tokens: Int
        package let densePerplexity: Double
        package let perplexity: Double
        /// Mean KL(dense ‖ compressed), in nats per token.
        package let klMean: Double
        /// Share of positions where both rank the same token first.
        package let top1Agreement: Double

        package init(
            file: String, tokens: Int, densePerplexity: Double, perplexity: Double,
            klMean: Double, top1Agreement: Double
        ) {
            self.file = file
            self.tokens = tokens
            self.densePerplexity = densePerplexity
            self.perplexity = perplexity
            self.klMean = klMean
            self.top1Agreement = top1Agreement
        }

        private enum CodingKeys: String, CodingKey {
            case file, tokens, perplexity
            case densePerplexity = "dense_perplexity"
            case klMean = "kl_mean"
            case top1Agreement = "top1_agreement"
        }
    }

    package let version: Int
    /// The dense checkpoint.
    package let source: Fingerprint
    /// Name of the model's folder.
    package let model: String
    /// As `--methods` names it.
    package let method: String
    /// Share of the linear layers' parameters that was allowed.
    package let keep: Double
    /// How the matrices were planned and fitted.
    package let settings: [String: JSONValue]
    /// Values of the blocks' linear layers, before and after.
    package let linearParametersBefore: Int
    package let linearParametersAfter: Int
    /// Bytes of all tensors, before and after.
    package let bytesBefore: Int
    package let bytesAfter: Int
    /// The planner's prediction, in nats per token, where it made one.
    package let predictedKL: Double?
    package let compressSeconds: Double
    package let texts: [Text]

    package init(
        source: Fingerprint, model: String, method: String, keep: Double,
        settings: [String: JSONValue], linearParametersBefore: Int, linearParametersAfter: Int,
        bytesBefore: Int, bytesAfter: Int, predictedKL: Double?, compressSeconds: Double,
        texts: [Text]
    ) {
        version = Self.currentVersion
        self.source = source
        self.model = model
        self.method = method
        self.keep = keep
        self.settings = settings
        self.linearParametersBefore = linearParametersBefore
        self.linearParametersAfter = linearParametersAfter
        self.bytesBefore = bytesBefore
        self.bytesAfter = bytesAfter
        self.predictedKL = predictedKL
        self.compressSeconds = compressSeconds
        self.texts = texts
    }

    private enum CodingKeys: String, CodingKey {
        case version, source, model, method, keep, settings, texts
        case linearParametersBefore = "linear_parameters_before"
        case linearParametersAfter = "linear_parameters_after"
        case bytesBefore = "bytes_before"
        case bytesAfter = "bytes_after"
        case predictedKL = "predicted_kl"
        case compressSeconds = "compress_seconds"
    }

    package func validate() throws(ManifestError) {
        guard version == Self.currentVersion else { throw .version(version, Self.currentVersion) }
        for text in texts {
            // A ruined model's perplexity may exceed all bounds: it is stored as the largest number.
            for (key, value) in [
                ("perplexity", text.perplexity), ("dense_perplexity", text.densePerplexity),
                ("kl_mean", text.klMean), ("top1_agreement", text.top1Agreement),
            ] where !value.isFinite {
                throw .number(key, value, matrix: text.file, expected: "a finite number")
            }
        }
    }
}
