import Artifacts
import Models
import Tensors
import Testing

@testable import Generate

@Suite("Decode steps on the CPU")
struct HostRunnerTests {
    /// Norms on queries and keys; biases; sliding windows.
    private static let configurations = [
        """
        {"model_type": "qwen3", "vocab_size": 97, "hidden_size": 48, "intermediate_size": 80,
         "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 16,
         "max_position_embeddings": 256, "rms_norm_eps": 1e-6, "tie_word_embeddings": true}
        """,
        """
        {"model_type": "qwen2", "vocab_size": 61, "hidden_size": 24, "intermediate_size": 36,
         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
         "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "tie_word_embeddings": false}
        """,
        """
        {"model_type": "mistral", "vocab_size": 61, "hidden_size": 32, "intermediate_size": 36,
         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 1,
         "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "sliding_window": 9,
         "tie_word_embeddings": false}
        """,
    ]

    private func model(_ text: String, _ type: ElementType) throws -> CausalLanguageModel {
        let configuration = try ModelConfiguration(parsing: Array(text.utf8))
        var tensors: [String: Tensor] = [:]
        for (index, tensor) in configuration.expectedTensors.enumerated() {
            let noise = try Tensor.normal(tensor.shape, seed: UInt64(index + 1))
            tensors[tensor.name] = try tensor.shape.count > 1 ? noise * 0.2 : noise * 0.3 + 1
        }
        return try CausalLanguageModel(.tensors(tensors, nil), configuration, as: type)
    }

    /// Three sequences that decode at different places, and a prompt, some steps long.
    private func steps() -> [Scheduler.Step] {
        var random = RandomSource(seed: 4)
        func tokens(_ count: Int) -> [Int32] {
            (0..<count).map { _ in Int32.random(in: 0..<61, using: &random) }
        }
        // Blocks of four tokens, not in order.
        let blocks = [
            [7, 2, 19, 4, 11], [0, 15, 3, 8, 17], [13, 1, 6, 9, 18], [5, 10, 12, 14, 16],
        ]
        var lengths = [5, 11, 2, 0]
        var steps: [Scheduler.Step] = []
        func add(_ counts: [Int], predicts: [Bool]) {
            var items: [Scheduler.Item] = []
            for (index, count) in counts.enumerated() where count > 0 {
                items.append(
                    Scheduler.Item(
                        request: RequestID(index), tokens: tokens(count), start: lengths[index],
                        blocks: Array(blocks[index].prefix((lengths[index] + count + 3) / 4)),
                        predicts: predicts[index]))
                lengths[index] += count
            }
            steps.append(.init(items: items, preempted: []))
        }
        let starts = lengths
        lengths = [0, 0, 0, 0]
        add(starts, predicts: [false, true, true, false])
        for _ in 0..<4 { add([1, 1, 1, 0], predicts: [true, true, true, true]) }
        add([1, 1, 1, 6], predicts: [true, true, true, false])
        add([1, 1, 1, 1], predicts: [true, true, false, true])
        add([1, 0, 0, 3], predicts: [true, true, true, true])
        return steps
    }

    /// Largest difference and largest value.
    private func deviation(_ found: Tensor, _ expected: Tensor) throws -> (Float, Float) {
        let (a, b) = (
            try found.elements(as: Float.self), try expected.elements(as: Float.self)
        )
        return (zip(a, b).map { abs($0 - $1) }.max() ?? .nan, b.map(abs).max() ?? .nan)
    }

    @Test("logits are libtorch's", arguments: 0..<3)
    func logits(_ index: Int) throws {
        let model = try model(Self.configurations[index], .float32)
        let host = try HostRunner(HostModel(model, threads: 2), blocks: 20, blockTokens: 4)
        let other = try ModelRunner(model, blocks: 20, blockTokens: 4)
        for step in steps() {
            let (found, expected) = (try host.logits(of: step), try other.logits(of: step))
            #expect(found.shape == expected.shape)
            let (difference, scale) = try deviation(found, expected)
            #expect(difference < 2e-5 * scale)
        }
    }

    @Test("bfloat16 weights are computed with in float32")
    func narrow() throws {
        let narrow = try model(Self.configurations[0], .bfloat16)
        let host = try HostRunner(HostModel(narrow, threads: 2), blocks: 20, blockTokens: 4)
        // The same values in float32.
        var tensors: [String: Tensor] = [:]
        for (index, tensor) in narrow.configuration.expectedTensors.enumerated() {
            let noise = try Tensor.normal(tensor.shape, seed: UInt64(index + 1))
            tensors[tensor.name] =
                try (tensor.shape.count > 1 ? noise * 0.2 : noise * 0.3 + 1)
                .converted(to: .bfloat16).converted(to: .float32)
        }
        let wide = try CausalLanguageModel(.tensors(tensors, nil), narrow.configuration)
        let other = try HostRunner(HostModel(wide, threads: 1), blocks: 20, blockTokens: 4)
        // One token after the other: prompts go through libtorch, which rounds.
        for position in 0..<12 {
            let step = Scheduler.Step(
                items: [
                    .init(
                        request: RequestID(0), tokens: [Int32(3 * position)], start: position,
                        blocks: [4, 1, 7], predicts: true)
                ], preempted: [])
            let (found, expected) = (try host.logits(of: step), try other.logits(of: step))
            let (difference, scale) = try deviation(found, expected)
            // Angles are rounded to bfloat16 with the model.
            #expect(difference < 0.02 * scale)
        }
    }

    @Test(
        "a decode step's logits have the same bits alone and in a batch, on any number of threads")
    func invariance() throws {
        let model = try model(Self.configurations[0], .float32)
        let steps = steps().dropFirst().prefix(4)
        let first = try HostRunner(HostModel(model, threads: 1), blocks: 20, blockTokens: 4)
        let second = try HostRunner(HostModel(model, threads: 3), blocks: 20, blockTokens: 4)
        let prompt = self.steps()[0]
        _ = try first.logits(of: prompt)
        _ = try second.logits(of: prompt)
        for step in steps {
            let together = try first.logits(of: step).elements(as: Float.self)
            let alone = try step.items.flatMap {
                try second.logits(of: .init(items: [$0], preempted: [])).elements(as: Float.self)
            }
            #expect(together == alone)
        }
    }
}
