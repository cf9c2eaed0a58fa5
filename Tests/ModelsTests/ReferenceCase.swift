import Artifacts
import Foundation
import Models
import Tensors
import Testing

/// One checkpoint and what transformers computes on it, by Tests/Reference/models_reference.py.
struct ReferenceCase: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    private let root: String
    private let model: String

    /// Those whose checkpoints can be found; `coverage` fails where one is missing that should not be.
    static let all = ((try? load()) ?? []).filter { $0.root == "outdir" || TestData.hasData }

    static func load() throws -> [ReferenceCase] {
        try JSONDecoder().decode(
            [ReferenceCase].self, from: try TestData.bytes("\(TestData.reference)/cases.json"))
    }

    var testDescription: String { name }

    var folder: String {
        root == "shared" ? "\(TestData.data)/\(model)" : "\(TestData.reference)/\(model)"
    }

    func loadModel(as type: ElementType = .float32) throws -> CausalLanguageModel {
        try CausalLanguageModel(
            Checkpoint(folder), ModelConfiguration(folder: folder), as: type)
    }

    func expected() throws -> Expected {
        let file = try SafetensorsFile("\(TestData.reference)/\(name)/expected.safetensors")
        return Expected(
            ids: try file.tensor(named: "input_ids"), logits: try file.tensor(named: "logits"),
            continuation: try file.tensor(named: "continuation"),
            continuationLogits: try file.tensor(named: "continuation_logits"))
    }

    struct Expected {
        /// int64 `[batch, tokens]`.
        let ids: Tensor
        /// `[batch, tokens, vocabulary]`.
        let logits: Tensor
        /// Greedy, int64 `[batch, steps]`.
        let continuation: Tensor
        /// What each token of the continuation was chosen from, `[batch, steps, vocabulary]`.
        let continuationLogits: Tensor
    }
}
