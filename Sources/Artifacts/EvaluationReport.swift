/// What `minima evaluate` measures; one JSON object with snake-case keys.
package struct EvaluationReport: Codable, Sendable {
    package struct Text: Codable, Sendable {
        package let file: String
        package let perplexity: Double
        /// Predicted tokens.
        package let tokens: Int
        /// The reference's.
        package let referencePerplexity: Double?
        /// Mean KL(reference ‖ model), in nats per token.
        package let klMean: Double?
        /// Share of positions where model and reference rank the same token first.
        package let top1Agreement: Double?

        package init(
            file: String, perplexity: Double, tokens: Int, referencePerplexity: Double?,
            klMean: Double?, top1Agreement: Double?
        ) {
            self.file = file
            self.perplexity = perplexity
            self.tokens = tokens
            self.referencePerplexity = referencePerplexity
            self.klMean = klMean
            self.top1Agreement = top1Agreement
        }

        private enum CodingKeys: String, CodingKey {
            case file, perplexity, tokens
            case referencePerplexity = "reference_perplexity"
            case klMean = "kl_mean"
            case top1Agreement = "top1_agreement"
        }
    }

    package let model: String
    package let reference: String?
    /// exp of the mean loss over all predicted tokens.
    package let perplexity: Double
    package let tokens: Int
    package let klMean: Double?
    package let top1Agreement: Double?
    /// Every value that the checkpoint stores.
    package let parameters: Int
    /// Those of the blocks' linear layers.
    package let linearParameters: Int
    /// Bytes of all stored tensors.
    package let bytes: Int
    package let tokensPerSecond: Double
    package let peakMemoryBytes: Int
    package let window: Int
    package let stride: Int
    package let device: String
    package let elementType: String
    package let threads: Int
    package let texts: [Text]

    package init(
        model: String, reference: String?, perplexity: Double, tokens: Int, klMean: Double?,
        top1Agreement: Double?, parameters: Int, linearParameters: Int, bytes: Int,
        tokensPerSecond: Double, peakMemoryBytes: Int, window: Int, stride: Int, device: String,
        elementType: String, threads: Int, texts: [Text]
    ) {
        self.model = model
        self.reference = reference
        self.perplexity = perplexity
        self.tokens = tokens
        self.klMean = klMean
        self.top1Agreement = top1Agreement
        self.parameters = parameters
        self.linearParameters = linearParameters
        self.bytes = bytes
        self.tokensPerSecond = tokensPerSecond
        self.peakMemoryBytes = peakMemoryBytes
        self.window = window
        self.stride = stride
        self.device = device
        self.elementType = elementType
        self.threads = threads
        self.texts = texts
    }

    private enum CodingKeys: String, CodingKey {
        case model, reference, perplexity, tokens, parameters, bytes, window, stride, device,
            threads, texts
        case klMean = "kl_mean"
        case top1Agreement = "top1_agreement"
        case linearParameters = "linear_parameters"
        case tokensPerSecond = "tokens_per_second"
        case peakMemoryBytes = "peak_memory_bytes"
        case elementType = "dtype"
    }
}
