import Artifacts
import Models
import TensorNetworks
import Tensors
import Testing

@testable import Evaluate

@Suite("BenchmarkMemory")
struct BenchmarkMemoryTests {
    static let config = """
        {"model_type": "qwen3", "vocab_size": 100, "hidden_size": 64, "intermediate_size": 96,
         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
         "max_position_embeddings": 512, "tie_word_embeddings": false}
        """
    static func configuration() throws -> ModelConfiguration {
        try ModelConfiguration(parsing: Array(config.utf8))
    }

    @Test("weights, caches and working memory by hand")
    func dense() throws {
        let configuration = try Self.configuration()
        let (attention, feedForward, norms) = (12_288, 18_432, 160)
        let values = 2 * 6_400 + 64 + 2 * (attention + feedForward + norms)
        let load = BenchmarkMemory.Load(sequences: 3, tokens: 65, stepTokens: 3, predictions: 3)
        let need = try BenchmarkMemory(
            .random(Models.RandomModel(configuration)), configuration, as: .bfloat16, on: .cpu,
            for: load)
        #expect(need.weights == 2 * values)
        // Keys and values, two layers, three sequences, two blocks of 64 tokens of two heads of 16, float32 on a CPU.
        #expect(need.caches == 2 * 2 * 3 * 2 * 8_192)
        // The embedding in float32 is more than three tokens' activations.
        #expect(need.working == 4 * 100 * 64)
        #expect(need.total == need.weights + need.caches + need.working)
        let onGPU = try BenchmarkMemory(
            .random(Models.RandomModel(configuration)), configuration, as: .bfloat16, on: .cuda(0),
            for: load)
        #expect(onGPU.caches == need.caches / 2 && onGPU.weights == need.weights)
    }

    @Test(
        "a compressed model's weights are those of its parts, and what is made is what was counted",
        arguments: Format.Kind.allCases.filter { $0 != .dense })
    func compressed(_ kind: Format.Kind) throws {
        let configuration = try Self.configuration()
        let plan = try CompressionPlan(
            share: 0.8, as: kind, of: configuration, type: .float32)
        try plan.validate()
        let planned = try plan.parameterCount()
        let dense = configuration.linearModules.reduce(0) { $0 + $1.rows * $1.columns }
        #expect(planned <= Int(0.8 * Double(dense)) && planned > dense / 2)
        let source = WeightSource.random(try Models.RandomModel(configuration, compressedBy: plan))
        let model = try CausalLanguageModel(source, configuration)
        #expect(model.linearParameterCount == planned)
        let facts = try MeasuredModel(model).facts
        #expect(facts.variant == .compressed && facts.kv == "f32")
        #expect(facts.keep == Double(planned) / Double(dense))

        var held = 4 * (2 * 6_400 + 64)
        for block in model.blocks {
            held += 4 * 160
            for projection in Projection.allCases {
                guard case .network(let network) = block[projection].weight else {
                    Issue.record("\(projection) of a compressed model is dense")
                    continue
                }
                held += network.byteCount
            }
        }
        let counted = try source.byteCounts(configuration, as: .float32).reduce(0, +)
        #expect(counted == held)

        let ids = try Tensor((0..<9).map { ($0 * 37) % 100 }, shape: [1, 9])
        let logits = try model.logits(ids).elements(as: Float.self)
        // Normed hidden states against a head of variance 1 / hidden: logits of about 1.
        let size = (logits.reduce(0) { $0 + $1 * $1 } / Float(logits.count)).squareRoot()
        #expect(size > 0.5 && size < 2, "\(size)")
    }

    @Test("patches and shared factors of a plan are made as they are, what is shared once")
    func patchesAndSharing() throws {
        let configuration = try Self.configuration()
        let matrices = configuration.linearModules.map { module in
            switch module.name {
            case "model.layers.1.self_attn.q_proj":
                MatrixPlan(
                    name: module.name, rows: 64, columns: 64,
                    patches: [
                        PatchPlan(
                            MatrixRegion(rows: 0..<64, columns: 0..<24), .dense, as: .float32),
                        PatchPlan(
                            MatrixRegion(rows: 0..<64, columns: 24..<64), .lowRank(rank: 4),
                            as: .float32),
                    ])
            case "model.layers.0.self_attn.k_proj":
                MatrixPlan(module, .lowRank(rank: 8), as: .float32)
            case "model.layers.0.self_attn.v_proj":
                MatrixPlan(
                    module, .lowRank(rank: 8), as: .float32,
                    sharingInputOf: "model.layers.0.self_attn.k_proj")
            default: MatrixPlan(module, .dense, as: .float32)
            }
        }
        let plan = CompressionPlan(
            source: Fingerprint(hashing: []), settings: [:], matrices: matrices)
        try plan.validate()
        let dense = configuration.linearModules.reduce(0) { $0 + $1.rows * $1.columns }
        let saved = 64 * 40 - 4 * (64 + 40) + 2 * 32 * 64 - 8 * (64 + 32 + 32)
        let source = WeightSource.random(
            try Models.RandomModel(configuration, compressedBy: plan))
        let model = try CausalLanguageModel(source, configuration)
        #expect(model.linearParameterCount == dense - saved)
        let counted = try source.byteCounts(configuration, as: .bfloat16).reduce(0, +)
        #expect(counted == 2 * (dense - saved + 2 * 6_400 + 64 + 2 * 160))
        guard case .network(let key) = model.blocks[0][.key].weight,
            case .network(let value) = model.blocks[0][.value].weight
        else {
            Issue.record("keys and values are of low rank")
            return
        }
        let inputs = try [key, value].map { network in
            let input = try #require(network.parts.first { $0.name == Format.inputPart })
            return try input.tensor.elements(as: Float.self)
        }
        #expect(inputs[0] == inputs[1])
    }

    @Test("ranks are multiples that the matrix's smaller side asks for")
    func ranks() throws {
        let wide = """
            {"model_type": "llama", "vocab_size": 10, "hidden_size": 1024, "intermediate_size": 1536,
             "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 1,
             "head_dim": 128}
            """
        let configuration = try ModelConfiguration(parsing: Array(wide.utf8))
        let plan = try CompressionPlan(
            share: 0.617, as: .lowRank, of: configuration, type: .bfloat16)
        let ranks = plan.matrices.map { $0.patches[0].format }
        // q 512 × 1024 (210.6), k and v 128 × 1024 (70.2), o as q, gate, up and down 1536 × 1024 (379.1).
        #expect(ranks == [192, 64, 64, 192, 320, 320, 320].map { Format.lowRank(rank: $0) })
        let fine = try CompressionPlan(
            share: 0.617, as: .lowRank, of: configuration, type: .bfloat16, rankMultiple: 5)
        #expect(fine.matrices[0].patches[0].format == .lowRank(rank: 210))
        let narrow = try CompressionPlan(
            share: 0.1, as: .lowRank, of: configuration, type: .bfloat16)
        // Of 1024 × 1536 a tenth is rank 61, which no multiple of 64 is within.
        #expect(narrow.matrices[4].patches[0].format == .lowRank(rank: 56))
        #expect(throws: ShareError.self) {
            try CompressionPlan(share: 0.001, as: .lowRank, of: configuration, type: .bfloat16)
        }
    }

    @Test("what does not fit is refused with its sum, however large")
    func refusal() throws {
        let configuration = try Self.configuration()
        let source = WeightSource.random(Models.RandomModel(configuration))
        func need(_ sequences: Int) throws -> BenchmarkMemory {
            try BenchmarkMemory(
                source, configuration, as: .float32, on: .cpu,
                for: .init(
                    sequences: sequences, tokens: 512, stepTokens: sequences,
                    predictions: sequences))
        }
        let small = try need(1)
        try small.require(small.total, on: .cpu)
        #expect(throws: BenchmarkMemoryError.self) {
            try small.require(small.total - 1, on: .cpu)
        }
        let absurd = try need(1 << 60)
        #expect(absurd.total == .max)
        let available = try BenchmarkMemory.available(on: .cpu)
        #expect(available > 1 << 24 && available < 1 << 50)
        let error = #expect(throws: BenchmarkMemoryError.self) {
            try absurd.require(available, on: .cpu)
        }
        #expect(error?.description.contains("of keys and values") == true)
    }

    @Test("a plan of another shape is refused")
    func otherPlan() throws {
        let configuration = try Self.configuration()
        let plan = try CompressionPlan(
            share: 0.5, as: .lowRank, of: configuration, type: .float32)
        let one = try ModelConfiguration(
            parsing: Array(
                Self.config.replacing("\"num_hidden_layers\": 2", with: "\"num_hidden_layers\": 1")
                    .utf8))
        #expect(throws: RandomModelError.unknown("model.layers.1.self_attn.q_proj")) {
            try Models.RandomModel(one, compressedBy: plan)
        }
        let half = CompressionPlan(
            source: plan.source, settings: [:], matrices: Array(plan.matrices.dropLast()))
        #expect(throws: RandomModelError.missing("model.layers.1.mlp.down_proj")) {
            try Models.RandomModel(configuration, compressedBy: half)
        }
        let wide = try ModelConfiguration(
            parsing: Array(
                Self.config.replacing(
                    "\"intermediate_size\": 96", with: "\"intermediate_size\": 48"
                )
                .utf8))
        #expect(
            throws: RandomModelError.size(
                "model.layers.0.mlp.gate_proj", planned: [96, 64], expected: [48, 64])
        ) { try Models.RandomModel(wide, compressedBy: plan) }
    }
}
