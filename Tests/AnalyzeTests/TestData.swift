import Foundation
import Artifacts
import TensorNetworks
import Tensors
import Testing

/// SplitMix64: the same seed gives the same instance everywhere.
struct Random: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

enum TestData {
    static func fingerprint() throws -> Fingerprint {
        try #require(Fingerprint(hex: String(repeating: "0a", count: 32)))
    }

    /// Pivoted and plain low ranks whose predicted KL falls with the rank, at another pace for each
    /// matrix.
    static func map(layers: Int, ranks: Int = 12, seed: UInt64 = 1) throws -> SensitivityMap {
        var random = Random(seed: seed)
        var matrices: [MatrixSensitivity] = []
        for layer in 0..<layers {
            for (name, rows, columns) in [("q_proj", 64, 96), ("up_proj", 172, 96)] {
                matrices.append(
                    try matrix(
                        "model.layers.\(layer).\(name)", rows, columns, ranks: ranks, &random))
            }
        }
        return SensitivityMap(
            source: try fingerprint(), settings: ["analysis": .string("test")], matrices: matrices)
    }

    static func matrix(
        _ name: String, _ rows: Int, _ columns: Int, ranks: Int, _ random: inout Random
    ) throws -> MatrixSensitivity {
        let scale = Double.random(in: 0.01...0.3, using: &random)
        let pace = Double.random(in: 0.5...6, using: &random)
        var candidates: [Candidate] = []
        for step in 1...ranks {
            let rank = max(1, min(rows, columns) * step / (ranks + 1))
            let lost = 1 - Double(step) / Double(ranks + 1)
            for format in [Format.pivotedLowRank(rank: rank), .lowRank(rank: rank)]
            where try format.parameterCount(rows: rows, columns: columns) < rows * columns {
                let noise = Double.random(in: 0.98...1.02, using: &random)
                candidates.append(
                    try Candidate(
                        format, rows: rows, columns: columns, as: .bfloat16,
                        predictedKL: scale * noise * pow(lost, pace)))
            }
        }
        return MatrixSensitivity(
            name: name, rows: rows, columns: columns, elementType: .bfloat16,
            score: Double.random(in: 0...1, using: &random), entropy: 3.5,
            spectrum: [0.5, 0.25, 0.125], candidates: candidates)
    }

    /// A small Llama: key and value width 32, 3 layers, 512 words.
    static func configuration() throws -> ModelConfiguration {
        try ModelConfiguration(
            parsing: Array(
                """
                {"model_type": "llama", "hidden_size": 64, "intermediate_size": 172,
                 "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 4,
                 "vocab_size": 512, "rms_norm_eps": 1e-5, "max_position_embeddings": 2048}
                """.utf8))
    }
}
