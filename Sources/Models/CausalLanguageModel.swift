import Artifacts
import Tensors

/// A decoder-only Transformer with its weights, dense or compressed.
package struct CausalLanguageModel {
    package let configuration: ModelConfiguration
    package internal(set) var blocks: [DecoderBlock]
    package let ends: ModelEnds
    package let rotary: RotaryTables
    /// Values of the blocks' linear layers as they are stored; biases, embedding and head excluded. What
    /// several layers share counts once.
    package let linearParameterCount: Int
    /// Bytes of the same, with the scales of quantised ones.
    package let linearByteCount: Int

    /// Reads all weights of `checkpoint`, which is checked against `configuration` first.
    package init(
        _ checkpoint: Checkpoint, _ configuration: ModelConfiguration,
        as type: ElementType = .float32, on device: Device = .cpu
    ) throws {
        try checkpoint.validate(against: configuration)
        try self.init(.checkpoint(checkpoint), configuration, as: type, on: device)
    }

    /// Takes weights that are known to be those of `configuration`.
    package init(
        _ source: WeightSource, _ configuration: ModelConfiguration,
        as type: ElementType = .float32, on device: Device = .cpu
    ) throws {
        let loader = WeightLoader(source, as: type, on: device)
        self.configuration = configuration
        ends = try ModelEnds(of: configuration, from: loader)
        blocks = try (0..<configuration.layerCount).map {
            try DecoderBlock($0, of: configuration, from: loader)
        }
        rotary = RotaryTables(configuration, type: type, device: device)
        let counted = blocks.reduce(0) { sum, block in
            sum + Projection.allCases.reduce(0) { $0 + block[$1].parameterCount }
        }
        linearParameterCount =
            try counted - (source.manifest?.repeatedParameterCount() ?? 0)
        let bytes = blocks.reduce(0) { sum, block in
            sum + Projection.allCases.reduce(0) { $0 + block[$1].weight.valueBytes }
        }
        linearByteCount = try bytes - (source.manifest?.repeatedByteCount(as: type) ?? 0)
    }

    package var device: Device { ends.embedding.device }

    /// Hidden states after the final norm.
    /// - Parameters:
    ///   - ids: int64 `[batch, tokens]`, positions following those in `cache`.
    ///   - cache: extended by the tokens, where given.
    /// - Returns: `[batch, tokens, hidden]`.
    package func hiddenStates(_ ids: Tensor, cache: inout KVCache?) throws -> Tensor {
        var x = try ends.embed(ids)
        for block in blocks { x = try block.forward(x, rotary: rotary, cache: &cache) }
        cache?.advance(by: ids.shape[1])
        return try ends.normalize(x)
    }

    /// Logits of every position of `ids`, `[batch, tokens, vocabulary]`, without a cache.
    package func logits(_ ids: Tensor) throws -> Tensor {
        var none: KVCache?
        return try ends.project(try hiddenStates(ids, cache: &none))
    }
}
