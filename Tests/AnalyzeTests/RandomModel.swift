import Artifacts
import Foundation
import Models
import Tensors

/// A folder that is removed with the value's last copy.
final class TemporaryFolder {
    let path: String

    init() throws {
        path =
            FileManager.default.temporaryDirectory
            .appendingPathComponent("minima-analyze-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A small random Llama of three blocks, in float32.
final class RandomModel {
    let path: String
    private let folder: TemporaryFolder

    /// - Parameter replaced: weights that take the place of the random ones, by tensor name.
    init(seed: UInt64 = 5, replacing replaced: [String: Tensor] = [:]) throws {
        folder = try TemporaryFolder()
        path = folder.path
        let config = Data(
            """
            {"model_type": "llama", "vocab_size": 37, "hidden_size": 16,
             "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2,
             "num_key_value_heads": 1, "max_position_embeddings": 256, "tie_word_embeddings": false}
            """.utf8)
        try config.write(to: URL(fileURLWithPath: "\(path)/config.json"))
        let tensors = try ModelConfiguration(folder: path).expectedTensors
        let infos = tensors.compactMap {
            TensorInfo(name: $0.name, elementType: .float32, shape: $0.shape)
        }
        let writer = try SafetensorsWriter("\(path)/\(Checkpoint.singleFile)", declaring: infos)
        for (index, tensor) in tensors.enumerated() {
            let noise = try Tensor.normal(tensor.shape, seed: seed + UInt64(index))
            let random = try tensor.shape.count > 1 ? noise * 0.3 : noise * 0.2 + 1
            try writer.write(replaced[tensor.name] ?? random, named: tensor.name)
        }
        try writer.finish()
    }

    static let windows = (0..<3).map { window in
        (0..<40).map { (window * 11 + $0 * 7 + $0 * $0) % 37 }
    }

    /// Rows of ln p, in float64, of every position of `windows`.
    func logProbabilities(_ windows: [[Int]]) throws -> [[Double]] {
        let model = try CausalLanguageModel(Checkpoint(path), ModelConfiguration(folder: path))
        return try withoutGradients {
            try windows.flatMap { window -> [[Double]] in
                let logits = try model.logits(Tensor(window, shape: [1, window.count]))
                let width = logits.shape[2]
                let flat = try logits.elements(as: Double.self)
                return stride(from: 0, to: flat.count, by: width).map { start in
                    let row = flat[start..<start + width]
                    let top = row.max() ?? 0
                    let total = top + log(row.reduce(0) { $0 + exp($1 - top) })
                    return row.map { $0 - total }
                }
            }
        }
    }
}
