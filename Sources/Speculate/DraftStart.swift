import Artifacts
import Foundation
import Models
import TensorNetworks
import Tensors

/// A draft before its training, and its folder.
struct DraftStart {
    private let target: ModelConfiguration
    private let vocabulary: DraftVocabulary
    private let configuration: DraftConfiguration
    private let source: [UInt8]

    /// A layer of the shape of the target's own.
    init(
        _ target: ModelConfiguration, _ vocabulary: DraftVocabulary, target fingerprint: Fingerprint
    ) throws {
        (self.target, self.vocabulary) = (target, vocabulary)
        source = try DraftConfiguration.source(
            for: target, vocabularySize: vocabulary.tokens.count, fingerprint: fingerprint)
        configuration = try DraftConfiguration(parsing: source, of: ModelConfiguration.file)
    }

    /// Normal with deviation 0.02, what writes into the residual stream a fifth of that; norms 1. The head is the target's.
    ///
    /// Of the features the highest goes through, each value over its root mean square: a few are hundreds of times as large as
    /// the others in the residual stream of a trained model, and what a small layer adds to them would not be seen.
    /// - Parameter ids: integers `[windows, tokens]`, for the size of the features.
    func model(
        for model: CausalLanguageModel, seed: UInt64, sizedBy ids: Tensor
    ) throws -> DraftModel {
        let device = model.device
        let sizes = try featureSizes(model, ids)
        let targets = try Tensor(
            vocabulary.tokens, shape: [vocabulary.tokens.count], on: device)
        var weights: [String: Tensor] = [:]
        for (index, tensor) in configuration.expectedTensors(
            layer: DraftConfiguration.prefixes[0]
        ).enumerated() {
            guard tensor.shape.count > 1 else {
                weights[tensor.name] = try Tensor.ones(tensor.shape, .float32, on: device)
                continue
            }
            let writes =
                tensor.name.hasSuffix("o_proj.weight")
                || tensor.name.hasSuffix("down_proj.weight")
            weights[tensor.name] =
                try Tensor.normal(
                    tensor.shape, seed: seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(index), on: device)
                * (writes ? 0.004 : 0.02)
        }
        let hidden = target.hiddenSize
        if let mixing = weights["fc.weight"] {
            try mixing.narrowed(1, 2 * hidden..<3 * hidden).accumulate(
                Tensor.identity(hidden, .float32, on: device))
            try mixing.multiply(by: sizes.reciprocal().unsqueezed(0))
        }
        let highest = try sizes.narrowed(0, 2 * hidden..<3 * hidden)
        let size = try highest.squared().mean().squareRoot()
        weights["norm.weight"] = try model.ends.norm.to(.float32, device) * highest / size
        weights["lm_head.weight"] = try model.ends.head.selecting(targets, along: 0)
            .to(.float32, device, copy: true)
        return DraftModel(
            configuration, weights, embedding: model.ends.embedding, targets: targets,
            rotary: RotaryTables(
                configuration.layer, type: model.ends.embedding.elementType, device: device))
    }

    /// Root mean square of every value of the features, float32 `[3 · hidden]`.
    private func featureSizes(_ model: CausalLanguageModel, _ ids: Tensor) throws -> Tensor {
        try withoutGradients {
            let layers = configuration.layers ?? []
            var none: KVCache?
            var x = try model.ends.embed(ids)
            var sizes: [Int: Tensor] = [:]
            for block in model.blocks {
                if layers.contains(block.index) {
                    sizes[block.index] = try x.converted(to: .float32).reshaped([ids.count, -1])
                        .squared().mean(0).squareRoot()
                }
                x = try block.forward(x, rotary: model.rotary, cache: &none)
            }
            return try Tensor.concatenated(layers.compactMap { sizes[$0] }, along: 0) + 1e-6
        }
    }

    /// - Parameter companions: folder of the model whose tokenizer is copied.
    func write(
        _ masters: [NamedTensor], _ report: DraftReport, to path: String, like companions: String
    ) throws {
        let isDraftable = Set(vocabulary.tokens)
        let offsets = try Tensor(
            vocabulary.tokens.enumerated().map { $0.element - $0.offset },
            shape: [vocabulary.tokens.count])
        let draftable = try Tensor(
            (0..<target.vocabularySize).map { isDraftable.contains($0) ? Float(1) : 0 }
        ).equals(1)
        var tensors = try masters.map {
            ($0.name, try $0.tensor.detached().converted(to: .bfloat16).moved(to: .cpu))
        }
        tensors.append((DraftConfiguration.offsets, offsets))
        tensors.append((DraftConfiguration.draftable, draftable))
        let writer = try CheckpointWriter(
            path, like: companions,
            declaring: tensors.map { TensorInfo(name: $0.0, of: $0.1) },
            files: [
                ModelConfiguration.file: source,
                DraftReport.file: try StrictJSON.encode(report),
            ])
        for (name, tensor) in tensors { try writer.write(tensor, named: name) }
        try writer.finish()
    }
}
