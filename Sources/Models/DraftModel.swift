// EAGLE-3 (Li et al. 2025, arXiv 2503.01840): one decoder layer that guesses the target's next tokens from the target's own
// features. With f_p what entered three of the target's layers at position p, and e_{p+1} the embedding of the token behind it,
//
//     g_p = fc · f_p                                   z_p = [norm(e_{p+1}) ; norm(g_p)]
//     h_p = g_p + attention(z_{≤ p})                   o_p = h_p + feedForward(norm(h_p))
//
// and softmax(head · norm(o_p)) is the guess of the token at p + 2. To guess on, o_p takes the place of g_{p+1}, for which there
// are no features yet.
import Artifacts
import Tensors

package struct DraftModel {
    package let configuration: DraftConfiguration
    /// By the names that the authors give them.
    package let weights: [String: Tensor]
    /// `[target's vocabulary, hidden]`.
    package let embedding: Tensor
    /// int64 `[draft's vocabulary]`: the target's number of every token.
    package let targets: Tensor
    package let rotary: RotaryTables

    /// - Parameters:
    ///   - weights: those of `expectedTensors` with the authors' names.
    ///   - embedding: the target's, or the draft's own.
    ///   - targets: int64 `[draft's vocabulary]`.
    package init(
        _ configuration: DraftConfiguration, _ weights: [String: Tensor], embedding: Tensor,
        targets: Tensor, rotary: RotaryTables? = nil
    ) {
        (self.configuration, self.weights) = (configuration, weights)
        (self.embedding, self.targets) = (embedding, targets)
        self.rotary =
            rotary
            ?? RotaryTables(
                configuration.layer, type: embedding.elementType, device: embedding.device)
    }

    /// Reads a draft of `target`'s tokens.
    package init(folder: String, for target: CausalLanguageModel) throws {
        let configuration = try DraftConfiguration(folder: folder)
        try Self.check(configuration, target.configuration, folder)
        let checkpoint = try Checkpoint(folder)
        let prefix = DraftConfiguration.prefixes.first {
            checkpoint.info("\($0)hidden_norm.weight") != nil
        }
        guard let prefix else {
            throw DraftModelError.missing(
                "\(DraftConfiguration.prefixes[0])hidden_norm.weight", folder: folder)
        }
        let (type, device) = (target.ends.embedding.elementType, target.device)
        let loader = WeightLoader(checkpoint, as: type, on: device)
        func tensor(_ expected: ExpectedTensor) throws -> Tensor {
            guard let found = checkpoint.info(expected.name) else {
                throw DraftModelError.missing(expected.name, folder: folder)
            }
            guard found.shape == expected.shape, found.elementType.isFloatingPoint else {
                throw DraftModelError.shape(
                    expected.name, found: found.shape, expected: expected.shape, folder: folder)
            }
            return try loader.tensor(expected.name)
        }
        var weights: [String: Tensor] = [:]
        for (theirs, ours) in zip(
            configuration.expectedTensors(layer: prefix),
            configuration.expectedTensors(layer: DraftConfiguration.prefixes[0]))
        {
            weights[ours.name] = try tensor(theirs)
        }
        let vocabulary = target.configuration.vocabularySize
        let hasEmbedding = checkpoint.info(DraftConfiguration.embedding) != nil
        guard hasEmbedding || configuration.layer.hiddenSize == target.configuration.hiddenSize
        else { throw DraftModelError.missing(DraftConfiguration.embedding, folder: folder) }
        self.init(
            configuration, weights,
            embedding: hasEmbedding
                ? try tensor(
                    .init(
                        name: DraftConfiguration.embedding,
                        shape: [vocabulary, configuration.layer.hiddenSize]))
                : target.ends.embedding,
            targets: try Self.targets(
                checkpoint, configuration.vocabularySize, vocabulary: vocabulary, folder
            ).moved(to: device))
    }

    private static func check(
        _ configuration: DraftConfiguration, _ target: ModelConfiguration, _ folder: String
    ) throws(DraftModelError) {
        guard configuration.layer.vocabularySize == target.vocabularySize else {
            throw .vocabulary(
                draft: configuration.layer.vocabularySize, target: target.vocabularySize,
                folder: folder)
        }
        guard configuration.targetHiddenSize == target.hiddenSize else {
            throw .width(
                draft: configuration.targetHiddenSize, target: target.hiddenSize, folder: folder)
        }
        if let layer = configuration.layers?.first(where: { $0 >= target.layerCount }) {
            throw .layer(layer, layers: target.layerCount, folder: folder)
        }
    }

    /// The target's numbers of the draft's tokens, which are all of the target's where the draft has as many.
    private static func targets(
        _ checkpoint: Checkpoint, _ count: Int, vocabulary: Int, _ folder: String
    ) throws -> Tensor {
        let name = DraftConfiguration.offsets
        guard let info = checkpoint.info(name) else {
            guard count == vocabulary else { throw DraftModelError.missing(name, folder: folder) }
            return try Tensor.range(to: Double(count), .int64)
        }
        guard info.shape == [count] else {
            throw DraftModelError.shape(
                name, found: info.shape, expected: [count], folder: folder)
        }
        let offsets = try checkpoint.tensor(named: name).converted(to: .int64).elements(
            as: Int.self)
        let targets = offsets.enumerated().map { $0.offset &+ $0.element }
        guard targets.allSatisfy({ (0..<vocabulary).contains($0) }) else {
            throw DraftModelError.targets(folder: folder, vocabulary: vocabulary)
        }
        return try Tensor(targets, shape: [count])
    }

    // MARK: Parts

    /// The weight `name`, which is one of the layer's or of the ends.
    package func weight(_ name: String, ofLayer: Bool = true) -> Tensor {
        let whole = (ofLayer ? DraftConfiguration.prefixes[0] : "") + name + ".weight"
        guard let tensor = weights[whole] else { preconditionFailure("\(whole) was checked") }
        return tensor
    }

    private var epsilon: Double { configuration.layer.normEpsilon }

    /// Layers of a target of `depth` layers whose inputs are its features.
    package func tappedLayers(of depth: Int) -> [Int] {
        configuration.layers ?? DraftConfiguration.tappedLayers(of: depth)
    }

    /// g of features `[…, 3 · target's hidden]`.
    package func combine(_ features: Tensor) throws -> Tensor {
        try features.converted(to: embedding.elementType)
            .linear(weight("fc", ofLayer: false))
    }

    /// The layer's output o.
    /// - Parameters:
    ///   - ids: integers `[batch, tokens]`, of the tokens behind those of the features.
    ///   - g: `[batch, tokens, hidden]`.
    ///   - angles: of the positions, `[tokens, 1, headDim / 2]`.
    ///   - attend: gets queries `[batch, tokens, heads, headDim]`, keys and values alike, turned; gives
    ///     `[batch, tokens, heads · headDim]`.
    package func forward(
        _ ids: Tensor, _ g: Tensor, angles: (cosines: Tensor, sines: Tensor),
        attend: (Tensor, Tensor, Tensor) throws -> Tensor
    ) throws -> Tensor {
        let layer = configuration.layer
        let normed = try g.rmsNorm(weight("hidden_norm"), epsilon: epsilon)
        let embedded = try embedding.embedding(ids).rmsNorm(
            weight("input_layernorm"), epsilon: epsilon)
        let z = try Tensor.concatenated([embedded, normed], along: -1)
        func heads(_ name: String, _ count: Int) throws -> Tensor {
            try z.linear(weight("self_attn.\(name)_proj"))
                .reshaped([z.shape[0], z.shape[1], count, layer.headDim])
        }
        let attended = try attend(
            RotaryTables.rotate(heads("q", layer.headCount), by: angles),
            RotaryTables.rotate(heads("k", layer.keyValueHeadCount), by: angles),
            heads("v", layer.keyValueHeadCount))
        let h =
            try (configuration.normsBeforeResidual ? normed : g)
            + attended.linear(weight("self_attn.o_proj"))
        let normedH = try h.rmsNorm(weight("post_attention_layernorm"), epsilon: epsilon)
        let gated = try normedH.linear(weight("mlp.gate_proj"))
            .swiGLU(normedH.linear(weight("mlp.up_proj")))
        return try h + gated.linear(weight("mlp.down_proj"))
    }

    /// Logits of the draft's vocabulary of outputs o.
    package func project(_ output: Tensor) throws -> Tensor {
        try normalize(output).linear(weight("lm_head", ofLayer: false))
    }

    /// What the head reads.
    package func normalize(_ output: Tensor) throws -> Tensor {
        try output.rmsNorm(weight("norm", ofLayer: false), epsilon: epsilon)
    }

    /// Pieces of several sequences, whose keys and values are in a cache of one layer.
    package func batch(_ pieces: [PagedBatch.Piece], _ cache: PagedCache) throws -> PagedBatch {
        try PagedBatch(
            pieces, cache, kvHeads: configuration.layer.keyValueHeadCount, rotary: rotary,
            on: embedding.device)
    }

    /// The same for the batch's tokens, each of which stands in the cache where the features before it do.
    /// - Parameter g: `[tokens, hidden]`.
    /// - Returns: o `[tokens, hidden]`.
    package func forward(_ g: Tensor, _ batch: PagedBatch) throws -> Tensor {
        try forward(batch.ids, g.unsqueezed(0), angles: batch.angles) {
            try batch.attend(
                layer: 0, $0, $1, $2, window: configuration.layer.slidingWindows[0])
        }.squeezed(0)
    }
}

package enum DraftModelError: Error, Equatable, CustomStringConvertible {
    case missing(String, folder: String)
    case shape(String, found: [Int], expected: [Int], folder: String)
    case vocabulary(draft: Int, target: Int, folder: String)
    case width(draft: Int, target: Int, folder: String)
    case layer(Int, layers: Int, folder: String)
    case targets(folder: String, vocabulary: Int)

    package var description: String {
        switch self {
        case .missing(let name, let folder):
            "\(folder) has no tensor '\(name)', which a draft model needs"
        case .shape(let name, let found, let expected, let folder):
            "tensor '\(name)' of \(folder) has shape \(found), not \(expected)"
        case .vocabulary(let draft, let target, let folder):
            "\(folder) drafts for a vocabulary of \(draft) tokens, and the model has \(target): they do not belong together"
        case .width(let draft, let target, let folder):
            "\(folder) reads features of \(draft) values, and the model's have \(target): they do not belong together"
        case .layer(let layer, let layers, let folder):
            "\(folder) reads what enters layer \(layer), and the model has \(layers)"
        case .targets(let folder, let vocabulary):
            "'d2t' of \(folder) leads to tokens outside the model's vocabulary of \(vocabulary)"
        }
    }
}
