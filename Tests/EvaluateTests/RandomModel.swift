import Artifacts
import Foundation
import Models
import Tensors

/// A folder with a small random Llama in it; removed with the value's last copy.
final class RandomModel {
    let path: String
    private let folder: TemporaryFolder

    init(vocabulary: Int = 37, seed: UInt64) throws {
        folder = try TemporaryFolder()
        path = folder.path
        let config = Data(
            """
            {"model_type": "llama", "vocab_size": \(vocabulary), "hidden_size": 16,
             "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
             "num_key_value_heads": 1, "max_position_embeddings": 1024, "tie_word_embeddings": false}
            """.utf8)
        try config.write(to: URL(fileURLWithPath: "\(path)/config.json"))
        let tensors = try ModelConfiguration(folder: path).expectedTensors
        let infos = tensors.compactMap {
            TensorInfo(name: $0.name, elementType: .float32, shape: $0.shape)
        }
        let writer = try SafetensorsWriter("\(path)/\(Checkpoint.singleFile)", declaring: infos)
        for (index, tensor) in tensors.enumerated() {
            let noise = try Tensor.normal(tensor.shape, seed: seed + UInt64(index))
            try writer.write(
                tensor.shape.count > 1 ? noise * 0.4 : noise * 0.3 + 1, named: tensor.name)
        }
        try writer.finish()
    }

    func load() throws -> CausalLanguageModel {
        try CausalLanguageModel(Checkpoint(path), ModelConfiguration(folder: path))
    }
}

/// What the scores are, in float64 and one token at a time.
struct DirectScore {
    private(set) var losses: [Double] = []
    private(set) var divergences: [Double] = []
    private(set) var agreements: [Bool] = []
    /// Largest |logit| or |log-probability| met: what rounding errors are relative to.
    private(set) var scale = 1.0

    var perplexity: Double { exp(losses.reduce(0, +) / Double(losses.count)) }
    var klMean: Double { divergences.reduce(0, +) / Double(divergences.count) }
    var agreement: Double { Double(agreements.count { $0 }) / Double(agreements.count) }

    /// Adds the last `scored` targets of a window of `length + 1` ids.
    mutating func add(
        _ window: [Int], scored: Int, _ model: CausalLanguageModel, _ reference: CausalLanguageModel
    ) throws {
        let (logits, wanted) = (
            try Self.rows(model, window.dropLast()), try Self.rows(reference, window.dropLast())
        )
        for position in (window.count - 1 - scored)..<(window.count - 1) {
            let (q, p) = (Self.logSoftmax(logits[position]), Self.logSoftmax(wanted[position]))
            losses.append(-q[window[position + 1]])
            divergences.append(zip(p, q).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) })
            agreements.append(Self.best(p) == Self.best(q))
            scale = (p + q + logits[position] + wanted[position]).reduce(scale) { max($0, abs($1)) }
        }
    }

    private static func rows(
        _ model: CausalLanguageModel, _ ids: ArraySlice<Int>
    ) throws -> [[Double]] {
        let logits = try withoutGradients {
            try model.logits(try Tensor(Array(ids), shape: [1, ids.count]))
        }
        let (width, flat) = (logits.shape[2], try logits.elements(as: Double.self))
        return stride(from: 0, to: flat.count, by: width).map { Array(flat[$0..<$0 + width]) }
    }

    private static func logSoftmax(_ row: [Double]) -> [Double] {
        let top = row.max() ?? 0
        let total = log(row.reduce(0) { $0 + exp($1 - top) })
        return row.map { $0 - top - total }
    }

    private static func best(_ row: [Double]) -> Int? { row.indices.max { row[$0] < row[$1] } }

    /// How far float32 logits and log-probabilities put a loss or divergence off: each logit is a dot
    /// product of `width` terms whose rounding errors add up like √width, and taking logarithms of
    /// softmax costs a few roundings of what is at most `scale`.
    func bound(width: Int) -> Double {
        (8 * Double(width).squareRoot() + 16) * scale * ElementType.float32.roundoff
    }
}
