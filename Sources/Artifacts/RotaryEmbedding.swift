import Glibc

/// How positions rotate queries and keys.
package struct RotaryEmbedding: Hashable, Sendable {
    /// Base of the frequencies, `rope_theta`.
    package let theta: Double
    package let scaling: Scaling

    /// How frequencies are stretched for texts longer than those of the first training.
    package enum Scaling: Hashable, Sendable {
        case none
        /// Positions divided by `factor`.
        case linear(factor: Double)
        case llama3(Llama3)
        case yarn(YaRN)
    }

    /// Low frequencies divided by `factor`, high ones kept, blended between (Llama 3.1).
    package struct Llama3: Hashable, Sendable {
        package let factor: Double
        package let lowFrequencyFactor: Double
        package let highFrequencyFactor: Double
        package let originalPositions: Int
    }

    /// YaRN, arXiv 2309.00071, with the keys of transformers.
    package struct YaRN: Hashable, Sendable {
        package let factor: Double
        package let originalPositions: Int
        package let betaFast: Double
        package let betaSlow: Double
        /// What cosine and sine are multiplied by.
        package let attentionFactor: Double
        /// Whether the correction range is rounded to whole dimensions.
        package let truncatesRange: Bool
    }
}

extension RotaryEmbedding {
    static let supported = ["default", "linear", "llama3", "yarn"]

    /// Reads `rope_parameters` (transformers 5) or else `rope_theta` and `rope_scaling`.
    init(_ values: ConfigurationReader, maxPositions: Int) throws(CheckpointError) {
        let parameters = try values.object("rope_parameters")
        // A standalone theta also holds where rope_parameters has none.
        let outerTheta = try values.positive("rope_theta", default: 10_000)
        theta = try parameters?.positive("rope_theta", default: outerTheta) ?? outerTheta
        let scaled = try values.object("rope_scaling")
        guard let rope = parameters ?? scaled else {
            scaling = .none
            return
        }
        for layerType in ["full_attention", "sliding_attention"] where rope.has(layerType) {
            throw rope.error(layerType, "sets rotation by layer type, which is not supported")
        }
        if try rope.positive("partial_rotary_factor", default: 1) != 1 {
            throw rope.error("partial_rotary_factor", "is not 1")
        }
        let (newName, oldName) = (try rope.string("rope_type"), try rope.string("type"))
        let kind = newName ?? oldName ?? "default"
        switch kind {
        case "default":
            scaling = .none
        case "linear":
            scaling = .linear(factor: try rope.positive("factor"))
        case "llama3":
            scaling = .llama3(try Llama3(rope))
        case "yarn":
            scaling = .yarn(try YaRN(rope, maxPositions: maxPositions))
        default:
            throw rope.error(
                rope.has("rope_type") ? "rope_type" : "type",
                "is '\(kind)'; supported are \(Self.supported.joined(separator: ", "))")
        }
    }
}

extension RotaryEmbedding.Llama3 {
    fileprivate init(_ rope: ConfigurationReader) throws(CheckpointError) {
        factor = try rope.positive("factor")
        lowFrequencyFactor = try rope.positive("low_freq_factor")
        highFrequencyFactor = try rope.positive("high_freq_factor")
        originalPositions = try rope.size("original_max_position_embeddings")
        guard lowFrequencyFactor < highFrequencyFactor else {
            throw rope.error("low_freq_factor", "is not below high_freq_factor")
        }
    }
}

extension RotaryEmbedding.YaRN {
    fileprivate init(_ rope: ConfigurationReader, maxPositions: Int) throws(CheckpointError) {
        originalPositions = try rope.size(
            "original_max_position_embeddings", default: maxPositions)
        factor = try rope.positive(
            "factor", default: Double(maxPositions) / Double(originalPositions))
        betaFast = try rope.positive("beta_fast", default: 32)
        betaSlow = try rope.positive("beta_slow", default: 1)
        truncatesRange = try rope.bool("truncate", default: true)
        attentionFactor = try Self.attentionFactor(rope, factor)
        guard betaSlow <= betaFast else { throw rope.error("beta_slow", "is above beta_fast") }
    }

    /// As transformers has it: 0.1·ln(factor) + 1 unless the file gives it, or a ratio of two of them.
    private static func attentionFactor(
        _ rope: ConfigurationReader, _ factor: Double
    ) throws(CheckpointError) -> Double {
        func magnitude(_ scale: Double) -> Double {
            factor <= 1 ? 1 : 0.1 * scale * log(factor) + 1
        }
        if rope["attention_factor"] != nil { return try rope.positive("attention_factor") }
        guard rope["mscale"] != nil, rope["mscale_all_dim"] != nil else { return magnitude(1) }
        return magnitude(try rope.positive("mscale"))
            / magnitude(try rope.positive("mscale_all_dim"))
    }
}
