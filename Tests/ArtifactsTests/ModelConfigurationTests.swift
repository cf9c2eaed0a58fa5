import FoundationEssentials
import Tensors
import Testing

@testable import Artifacts

/// Configurations made from a small one by changing keys; `nil` removes a key.
enum Configurations {
    static let small: [String: JSONValue] = [
        "model_type": .string("llama"), "hidden_size": .integer(64),
        "intermediate_size": .integer(172), "num_hidden_layers": .integer(3),
        "num_attention_heads": .integer(8), "num_key_value_heads": .integer(4),
        "vocab_size": .integer(512), "rms_norm_eps": .number(1e-5),
        "max_position_embeddings": .integer(2_048), "hidden_act": .string("silu"),
    ]

    static func bytes(_ changes: [String: JSONValue?] = [:]) throws -> [UInt8] {
        var values = small
        for (key, value) in changes { values[key] = value }
        return try StrictJSON.encode(JSONValue.object(values))
    }

    static func make(
        _ changes: [String: JSONValue?] = [:], generation: String? = nil
    ) throws -> ModelConfiguration {
        try ModelConfiguration(
            parsing: try bytes(changes), generation: generation.map { Array($0.utf8) })
    }
}

@Suite("Model configurations")
struct ModelConfigurationTests {
    @Test("defaults of each architecture")
    func defaults() throws {
        let llama = try Configurations.make(["num_key_value_heads": nil])
        #expect(llama.keyValueHeadCount == 8)
        #expect(llama.headDim == 8)
        #expect(!llama.tiesEmbeddings)
        #expect(llama.rotary == RotaryEmbedding(theta: 10_000, scaling: .none))
        #expect(llama.elementType == nil)
        #expect(llama.endTokens.isEmpty)
        #expect(!llama.biases.queryKeyValue && !llama.biases.attentionOutput)

        let qwen2 = try Configurations.make(["model_type": .string("qwen2")])
        #expect(qwen2.biases.queryKeyValue && !qwen2.biases.attentionOutput)
        #expect(!qwen2.hasQueryKeyNorm)

        let qwen3 = try Configurations.make(["model_type": .string("qwen3")])
        #expect(qwen3.headDim == 128)
        #expect(qwen3.hasQueryKeyNorm && !qwen3.biases.queryKeyValue)

        let mistral = try Configurations.make(["model_type": .string("mistral")])
        #expect(mistral.slidingWindows == [4_096, 4_096, 4_096])
    }

    @Test("Qwen3 32B")
    func qwen32B() throws {
        guard let folder = try TestModels.shared("../configs") else { return }
        let bytes = try MappedFile.contents("\(folder)/qwen3-32b.json", limit: 1 << 20)
        let configuration = try ModelConfiguration(parsing: bytes)
        #expect(configuration.source == bytes)
        #expect(configuration.linearModules.count == 64 * 7)
        #expect(configuration.endTokens == [151_645])
        #expect(configuration.rotary.theta == 1_000_000)
        let parameters = configuration.expectedTensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
        #expect(parameters == 32_762_123_264)
    }

    @Test("expected tensors, with biases and norms where the architecture has them")
    func expectedTensors() throws {
        let llama = try Configurations.make([
            "attention_bias": .bool(true), "mlp_bias": .bool(true),
            "tie_word_embeddings": .bool(false),
        ])
        let shapes = Dictionary(
            uniqueKeysWithValues: llama.expectedTensors.map { ($0.name, $0.shape) })
        #expect(shapes.count == 2 + 1 + 3 * (2 + 14))
        #expect(shapes["model.embed_tokens.weight"] == [512, 64])
        #expect(shapes["lm_head.weight"] == [512, 64])
        #expect(shapes["model.layers.2.self_attn.k_proj.weight"] == [32, 64])
        #expect(shapes["model.layers.2.self_attn.o_proj.bias"] == [64])
        #expect(shapes["model.layers.0.mlp.down_proj.weight"] == [64, 172])
        #expect(shapes["model.layers.0.mlp.gate_proj.bias"] == [172])

        let qwen2 = try Configurations.make([
            "model_type": .string("qwen2"), "tie_word_embeddings": .bool(true),
        ])
        let names = Set(qwen2.expectedTensors.map(\.name))
        #expect(names.contains("model.layers.0.self_attn.v_proj.bias"))
        #expect(!names.contains("model.layers.0.self_attn.o_proj.bias"))
        #expect(!names.contains("lm_head.weight"))

        let qwen3 = try Configurations.make([
            "model_type": .string("qwen3"), "head_dim": .integer(16),
        ])
        #expect(
            qwen3.expectedTensors.contains(
                ExpectedTensor(name: "model.layers.1.self_attn.q_norm.weight", shape: [16])))
    }

    @Test("rotary embeddings, old spelling and new")
    func rotary() throws {
        func rotary(_ changes: [String: JSONValue?]) throws -> RotaryEmbedding {
            try Configurations.make(changes).rotary
        }
        #expect(
            try rotary(["rope_theta": .integer(500_000), "rope_scaling": .null])
                == RotaryEmbedding(theta: 500_000, scaling: .none))
        #expect(
            try rotary([
                "rope_parameters": .object([
                    "rope_theta": .number(7), "rope_type": .string("default"),
                ])
            ])
                == RotaryEmbedding(theta: 7, scaling: .none))
        for type in ["type", "rope_type"] {
            #expect(
                try rotary([
                    "rope_scaling": .object([type: .string("linear"), "factor": .number(2)])
                ]) == RotaryEmbedding(theta: 10_000, scaling: .linear(factor: 2)))
        }
        let llama3 = RotaryEmbedding.Llama3(
            factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalPositions: 8_192)
        let llama3Keys: [String: JSONValue] = [
            "rope_type": .string("llama3"), "factor": .number(8), "low_freq_factor": .number(1),
            "high_freq_factor": .number(4), "original_max_position_embeddings": .integer(8_192),
        ]
        for key in ["rope_scaling", "rope_parameters"] {
            #expect(
                try rotary([key: .object(llama3Keys)])
                    == RotaryEmbedding(theta: 10_000, scaling: .llama3(llama3)))
        }
        let yarn = try rotary([
            "rope_scaling": .object([
                "type": .string("yarn"), "factor": .number(4),
                "original_max_position_embeddings": .integer(512),
            ])
        ])
        guard case .yarn(let values) = yarn.scaling else {
            Issue.record("\(yarn) is not YaRN")
            return
        }
        #expect(values.factor == 4 && values.originalPositions == 512)
        #expect(values.betaFast == 32 && values.betaSlow == 1 && values.truncatesRange)
        #expect(abs(values.attentionFactor - 1.138_629_436_111_989) < 1e-12)
    }

    @Test("sliding windows by layer")
    func slidingWindows() throws {
        func windows(_ type: String, _ changes: [String: JSONValue?]) throws -> [Int?] {
            try Configurations.make(changes.merging(["model_type": .string(type)]) { $1 })
                .slidingWindows
        }
        #expect(try windows("mistral", ["sliding_window": .null]) == [nil, nil, nil])
        #expect(try windows("mistral", ["sliding_window": .integer(9)]) == [9, 9, 9])
        #expect(try windows("llama", ["sliding_window": .integer(9)]) == [nil, nil, nil])
        #expect(try windows("qwen2", ["sliding_window": .integer(9)]) == [nil, nil, nil])
        #expect(
            try windows(
                "qwen2",
                [
                    "sliding_window": .integer(9), "use_sliding_window": .bool(true),
                    "max_window_layers": .integer(1),
                ]) == [nil, 9, 9])
        let types = JSONValue.array(
            ["sliding_attention", "full_attention", "sliding_attention"].map { .string($0) })
        #expect(
            try windows(
                "qwen3",
                [
                    "sliding_window": .integer(9), "use_sliding_window": .bool(true),
                    "layer_types": types,
                ]) == [9, nil, 9])
        #expect(throws: CheckpointError.self) {
            _ = try windows("qwen3", ["layer_types": types])
        }
    }

    @Test("tokens of both files, and types of weights")
    func tokens() throws {
        let configuration = try Configurations.make(
            [
                "bos_token_id": .integer(1), "eos_token_id": .array([.integer(2), .integer(3)]),
                "torch_dtype": .string("float16"),
            ], generation: "{\"bos_token_id\": 7, \"eos_token_id\": [3, 4]}")
        #expect(configuration.beginToken == 1)
        #expect(configuration.endTokens == [2, 3, 4])
        #expect(configuration.elementType == .float16)
        #expect(try Configurations.make(["dtype": .string("bfloat16")]).elementType == .bfloat16)
    }

    static let refused: [(key: String, value: JSONValue?)] = [
        ("model_type", nil), ("model_type", .string("gpt2")), ("hidden_size", nil),
        ("hidden_size", .integer(0)), ("hidden_size", .integer(-64)),
        ("hidden_size", .number(64.5)), ("hidden_size", .string("64")),
        ("hidden_size", .integer(1 << 25)), ("num_hidden_layers", .integer(1_001)),
        ("num_attention_heads", .integer(7)), ("num_key_value_heads", .integer(3)),
        ("head_dim", .integer(1 << 40)), ("head_dim", .integer(7)), ("vocab_size", .null),
        ("rms_norm_eps", .integer(0)), ("rms_norm_eps", .bool(true)),
        ("hidden_act", .string("gelu")), ("tie_word_embeddings", .integer(1)),
        ("quantization_config", .object(["quant_method": .string("gptq")])),
        ("partial_rotary_factor", .number(0.5)), ("torch_dtype", .string("int4")),
        ("eos_token_id", .integer(-1)), ("eos_token_id", .string("</s>")),
        ("rope_theta", .integer(0)),
    ]

    @Test("values that cannot be are refused with their key", arguments: refused)
    func impossibleValue(key: String, value: JSONValue?) throws {
        #expect {
            _ = try Configurations.make([key: value])
        } throws: { error in
            guard case CheckpointError.configuration("./config.json", key, _) = error else {
                return false
            }
            return true
        }
    }

    @Test("rotations that are not computed are refused", arguments: ["dynamic", "longrope", "su"])
    func unsupportedRotation(kind: String) throws {
        #expect(
            throws: CheckpointError.configuration(
                file: "./config.json", key: "rope_scaling.type",
                reason: "is '\(kind)'; supported are default, linear, llama3, yarn")
        ) {
            _ = try Configurations.make([
                "rope_scaling": .object(["type": .string(kind), "factor": .number(2)])
            ])
        }
    }
}
