/// What a training did: `heal.json` beside the weights, and what `minima heal --json` prints.
package struct HealReport: JSONArtifact, Hashable, Sendable {
    package static let noun = "training report"
    package static let currentVersion = 1
    package static let largestFile = 256 << 20
    package static let file = "heal.json"

    /// One step of the optimiser.
    package struct Point: Codable, Hashable, Sendable {
        /// From 1.
        package let step: Int
        /// Tokens predicted so far.
        package let tokens: Int
        /// The weighted sum that was minimised.
        package let loss: Double
        /// Means over the step's targets, nats per token.
        package let nextToken: Double
        package let divergence: Double?
        package let hidden: Double?
        package let task: Double?
        package let learningRate: Double
        /// 2-norm, before it was clipped.
        package let gradientNorm: Double

        package init(
            step: Int, tokens: Int, loss: Double, nextToken: Double, divergence: Double?,
            hidden: Double?, task: Double?, learningRate: Double, gradientNorm: Double
        ) {
            self.step = step
            self.tokens = tokens
            self.loss = loss
            self.nextToken = nextToken
            self.divergence = divergence
            self.hidden = hidden
            self.task = task
            self.learningRate = learningRate
            self.gradientNorm = gradientNorm
        }

        /// That it can be drawn.
        func validate() throws(ManifestError) {
            for (key, value) in [
                ("tokens", Double(tokens)), ("loss", loss), ("next_token", nextToken),
                ("kl", divergence ?? 0), ("hidden", hidden ?? 0), ("task", task ?? 0),
                ("gradient_norm", gradientNorm),
            ] {
                if let fault = ManifestError.quantity(
                    "curve: step \(step): \(key)", value, outside: ManifestError.drawable)
                {
                    throw fault
                }
            }
        }

        private enum CodingKeys: String, CodingKey {
            case step, tokens, loss, hidden, task
            case nextToken = "next_token"
            case divergence = "kl"
            case learningRate = "learning_rate"
            case gradientNorm = "gradient_norm"
        }
    }

    /// One held-out text, before and after.
    package struct Evaluation: Codable, Hashable, Sendable {
        package let file: String
        package let tokens: Int
        /// Nats per token.
        package let lossBefore: Double
        package let lossAfter: Double
        /// To the teacher, where there is one.
        package let divergenceBefore: Double?
        package let divergenceAfter: Double?

        package init(
            file: String, tokens: Int, lossBefore: Double, lossAfter: Double,
            divergenceBefore: Double?, divergenceAfter: Double?
        ) {
            self.file = file
            self.tokens = tokens
            self.lossBefore = lossBefore
            self.lossAfter = lossAfter
            self.divergenceBefore = divergenceBefore
            self.divergenceAfter = divergenceAfter
        }

        private enum CodingKeys: String, CodingKey {
            case file, tokens
            case lossBefore = "loss_before"
            case lossAfter = "loss_after"
            case divergenceBefore = "kl_before"
            case divergenceAfter = "kl_after"
        }
    }

    /// Of the held-out texts with the training text: shares of runs of 32 tokens.
    package struct Overlap: Codable, Hashable, Sendable {
        package let evaluationShare: Double
        package let windowShare: Double

        package init(evaluationShare: Double, windowShare: Double) {
            self.evaluationShare = evaluationShare
            self.windowShare = windowShare
        }

        private enum CodingKeys: String, CodingKey {
            case evaluationShare = "evaluation_share"
            case windowShare = "window_share"
        }
    }

    package let version: Int
    /// The dense checkpoint that it all comes from; a model that was made from nothing has none.
    package let source: Fingerprint?
    /// Folders, as they were named.
    package let model: String
    package let teacher: String?
    package let output: String
    package let settings: [String: JSONValue]
    package let device: String
    package let computeType: String
    package let checkpointsBlocks: Bool
    package let microBatchTokens: Int
    package let trainedParameters: Int
    package let tokens: Int
    package let steps: Int
    /// Of training, evaluations excluded.
    package let seconds: Double
    package let tokensPerSecond: Double
    /// Share of the device's peak, where that is known.
    package let modelFlopsUtilisation: Double?
    package let peakMemoryBytes: Int
    /// That trained together; left out where it was one.
    package let processes: Int?
    package let overlap: Overlap?
    package let evaluations: [Evaluation]
    package let curve: [Point]

    package init(
        source: Fingerprint?, model: String, teacher: String?, output: String,
        settings: [String: JSONValue], device: String, computeType: String,
        checkpointsBlocks: Bool, microBatchTokens: Int, trainedParameters: Int, tokens: Int,
        steps: Int, seconds: Double, tokensPerSecond: Double, modelFlopsUtilisation: Double?,
        peakMemoryBytes: Int, processes: Int = 1, overlap: Overlap?, evaluations: [Evaluation],
        curve: [Point]
    ) {
        version = Self.currentVersion
        self.source = source
        self.model = model
        self.teacher = teacher
        self.output = output
        self.settings = settings
        self.device = device
        self.computeType = computeType
        self.checkpointsBlocks = checkpointsBlocks
        self.microBatchTokens = microBatchTokens
        self.trainedParameters = trainedParameters
        self.tokens = tokens
        self.steps = steps
        self.seconds = seconds
        self.tokensPerSecond = tokensPerSecond
        self.modelFlopsUtilisation = modelFlopsUtilisation
        self.peakMemoryBytes = peakMemoryBytes
        self.processes = processes == 1 ? nil : processes
        self.overlap = overlap
        self.evaluations = evaluations
        self.curve = curve
    }

    private enum CodingKeys: String, CodingKey {
        case version, source, model, teacher, output, settings, device, tokens, steps, seconds,
            overlap, evaluations, curve, processes
        case computeType = "dtype"
        case checkpointsBlocks = "checkpoint_blocks"
        case microBatchTokens = "micro_batch_tokens"
        case trainedParameters = "trained_parameters"
        case tokensPerSecond = "tokens_per_second"
        case modelFlopsUtilisation = "model_flops_utilisation"
        case peakMemoryBytes = "peak_memory_bytes"
    }

    package func validate() throws(ManifestError) {
        guard version == Self.currentVersion else { throw .version(version, Self.currentVersion) }
        if let fault = ManifestError.quantity(
            "tokens_per_second", tokensPerSecond, outside: 0...ManifestError.most)
        {
            throw fault
        }
        for point in curve { try point.validate() }
    }
}
