import Tensors

/// What the `config.json` of an EAGLE-3 draft model (Li et al. 2025, arXiv 2503.01840) says: as the authors' repository and SGLang
/// write it, or as the speculators library does.
package struct DraftConfiguration: Hashable, Sendable {
    /// Its one decoder layer, a Llama's, whose queries, keys and values read twice the hidden size; with the target's
    /// vocabulary.
    package let layer: ModelConfiguration
    /// Tokens that it can guess, a part of the target's vocabulary.
    package let vocabularySize: Int
    package let targetHiddenSize: Int
    /// Of the target: what enters these is what the draft reads; `nil`: as `tappedLayers(of:)` has it.
    package let layers: [Int]?
    /// Whether the residual stream begins with the features behind their norm.
    package let normsBeforeResidual: Bool
    /// Of the target's checkpoint, where the file says.
    package let target: Fingerprint?

    package static let architecture = "LlamaForCausalLMEagle3"
    package static let targetKey = "minima_target"

    /// Layers of a target of `depth` layers whose inputs a draft reads if nobody says otherwise: low, middle and high, as the
    /// authors have them; of a shallow model the second, the middle and the last.
    package static func tappedLayers(of depth: Int) -> [Int] {
        depth >= 8 ? [2, depth / 2, depth - 3] : [min(1, depth - 1), depth / 2, depth - 1]
    }

    package init(folder: String) throws(CheckpointError) {
        let file = "\(folder)/\(ModelConfiguration.file)"
        try self.init(
            parsing: try MappedFile.contents(file, limit: ModelConfiguration.largestFile), of: file)
    }

    package init(parsing source: [UInt8], of file: String) throws(CheckpointError) {
        let values = try ConfigurationReader(source, of: file)
        guard case .object(var members) = try JSONValue(parsing: source, of: file) else {
            throw .malformedJSON(file: file, offset: 0, reason: "an object is expected")
        }
        var layer = members
        if let kind = try values.string("speculators_model_type") {
            guard kind == "eagle3" else {
                throw values.error(
                    "speculators_model_type", "is '\(kind)'; drafts are read that are 'eagle3'")
            }
            guard case .object(let inner)? = members["transformer_layer_config"] else {
                throw values.error("transformer_layer_config", "is missing")
            }
            layer = inner
            members["draft_vocab_size"] = members["draft_vocab_size"] ?? inner["vocab_size"]
        } else {
            guard case .array(let names)? = members["architectures"],
                names.contains(.string(Self.architecture))
            else {
                throw values.error(
                    "architectures", "does not name \(Self.architecture): no EAGLE-3 draft")
            }
        }
        layer["model_type"] = .string("llama")
        let count = try ConfigurationReader(Self.encoded(layer, file), of: file)
            .size("num_hidden_layers", default: 1)
        guard count == 1 else {
            throw values.error("num_hidden_layers", "is \(count); an EAGLE-3 draft has 1")
        }
        layer["num_hidden_layers"] = .integer(1)
        layer["layer_types"] = nil
        self.layer = try ModelConfiguration(parsing: try Self.encoded(layer, file), file: file)
        vocabularySize = try ConfigurationReader(try Self.encoded(members, file), of: file)
            .size("draft_vocab_size", default: self.layer.vocabularySize)
        guard vocabularySize <= self.layer.vocabularySize else {
            throw values.error("draft_vocab_size", "is larger than the target's vocabulary")
        }
        targetHiddenSize = try values.size(
            "target_hidden_size", default: self.layer.hiddenSize)
        normsBeforeResidual = try values.bool("norm_before_residual", default: false)
        for key in ["norm_before_fc", "fc_norm", "norm_output"]
        where try values.bool(key, default: false) {
            throw values.error(key, "is true, which is not computed here")
        }
        let key = "eagle_aux_hidden_state_layer_ids"
        let named = try values.object("eagle_config") ?? values
        let layers = try named.tokens(key)
        guard layers.isEmpty || layers.count == 3 else {
            throw named.error(key, "names \(layers.count) layers; 3 are read")
        }
        self.layers = layers.isEmpty ? nil : layers
        target = try values.string(Self.targetKey).map { (hex) throws(CheckpointError) in
            guard let fingerprint = Fingerprint(hex: hex) else {
                throw values.error(Self.targetKey, "is no SHA-256 fingerprint")
            }
            return fingerprint
        }
    }

    private static func encoded(
        _ members: [String: JSONValue], _ file: String
    ) throws(CheckpointError) -> [UInt8] {
        do { return try StrictJSON.encode(members) } catch {
            throw .manifest(file: file, reason: "\(error)")
        }
    }

    /// What a draft's tensors are called, with what stands in front of its layer's.
    package func expectedTensors(layer prefix: String) -> [ExpectedTensor] {
        let hidden = layer.hiddenSize
        func tensor(_ name: String, _ shape: Int...) -> ExpectedTensor {
            ExpectedTensor(name: name, shape: shape)
        }
        return [
            tensor("fc.weight", hidden, 3 * targetHiddenSize),
            tensor("\(prefix)hidden_norm.weight", hidden),
            tensor("\(prefix)input_layernorm.weight", hidden),
            tensor("\(prefix)self_attn.q_proj.weight", layer.queryWidth, 2 * hidden),
            tensor("\(prefix)self_attn.k_proj.weight", layer.keyValueWidth, 2 * hidden),
            tensor("\(prefix)self_attn.v_proj.weight", layer.keyValueWidth, 2 * hidden),
            tensor("\(prefix)self_attn.o_proj.weight", hidden, layer.queryWidth),
            tensor("\(prefix)post_attention_layernorm.weight", hidden),
            tensor("\(prefix)mlp.gate_proj.weight", layer.intermediateSize, hidden),
            tensor("\(prefix)mlp.up_proj.weight", layer.intermediateSize, hidden),
            tensor("\(prefix)mlp.down_proj.weight", hidden, layer.intermediateSize),
            tensor("norm.weight", hidden),
            tensor("lm_head.weight", vocabularySize, hidden),
        ]
    }

    /// Prefixes of a layer's tensors: the authors' and the speculators library's.
    package static let prefixes = ["midlayer.", "layers.0."]
    /// Of each draft token how far behind its own number the target's is; whether a target's token can be drafted.
    package static let offsets = "d2t"
    package static let draftable = "t2d"
    package static let embedding = "embed_tokens.weight"
}
