import Artifacts
import Foundation
import Tensors

/// Small checkpoints with random weights, written as any program would write them.
struct RandomCheckpoint {
    private let folder: TemporaryFolder
    let configuration: ModelConfiguration
    /// By name, float32.
    var tensors: [String: Tensor] = [:]

    /// A Qwen2: two blocks, grouped queries, biases on queries, keys and values, head of its own.
    static let config = """
        {"model_type": "qwen2", "vocab_size": 61, "hidden_size": 24, "intermediate_size": 36,
         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "tie_word_embeddings": false}
        """

    init(seed: UInt64) throws {
        folder = try TemporaryFolder()
        configuration = try ModelConfiguration(parsing: Array(Self.config.utf8))
        for (index, tensor) in configuration.expectedTensors.enumerated() {
            let noise = try Tensor.normal(tensor.shape, seed: seed + UInt64(index))
            tensors[tensor.name] =
                tensor.shape.count > 1 ? try noise * 0.2 : try noise * 0.3 + 1
        }
    }

    var path: String { folder.path }

    /// Writes config.json, model.safetensors and, for a compressed checkpoint, minima.json.
    func write(_ manifest: CompressionManifest? = nil) throws -> String {
        try Data(Self.config.utf8).write(to: URL(fileURLWithPath: "\(path)/config.json"))
        let writer = try SafetensorsWriter(
            "\(path)/\(Checkpoint.singleFile)",
            declaring: tensors.map { TensorInfo(name: $0.key, of: $0.value) })
        for (name, tensor) in tensors { try writer.write(tensor, named: name) }
        try writer.finish()
        if let manifest {
            try JSONEncoder().encode(manifest)
                .write(to: URL(fileURLWithPath: "\(path)/\(CompressionManifest.file)"))
        }
        return path
    }
}
