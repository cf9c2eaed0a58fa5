extension DraftConfiguration {
    /// `config.json` of a draft whose layer has the shape of the target's own, as the authors' repository writes it.
    /// - Parameters:
    ///   - vocabularySize: tokens that it can guess.
    ///   - fingerprint: of the target's checkpoint, where there is one.
    package static func source(
        for target: ModelConfiguration, vocabularySize: Int, fingerprint: Fingerprint? = nil
    ) throws -> [UInt8] {
        let layers = tappedLayers(of: target.layerCount)
        let original = try StrictJSON.decode(
            [String: JSONValue].self, from: target.source, of: ModelConfiguration.file)
        var values: [String: JSONValue] = [
            "architectures": .array([.string(architecture)]),
            "model_type": .string("llama"), "num_hidden_layers": .integer(1),
            "hidden_size": .integer(target.hiddenSize),
            "target_hidden_size": .integer(target.hiddenSize),
            "intermediate_size": .integer(target.intermediateSize),
            "num_attention_heads": .integer(target.headCount),
            "num_key_value_heads": .integer(target.keyValueHeadCount),
            "head_dim": .integer(target.headDim), "hidden_act": .string("silu"),
            "vocab_size": .integer(target.vocabularySize),
            "draft_vocab_size": .integer(vocabularySize),
            "max_position_embeddings": .integer(target.maxPositions),
            "rms_norm_eps": .number(target.normEpsilon), "tie_word_embeddings": .bool(false),
            "attention_bias": .bool(false), "dtype": .string("bfloat16"),
            "eagle_config": .object([
                "eagle_aux_hidden_state_layer_ids": .array(layers.map { .integer($0) }),
                "use_aux_hidden_state": .bool(true),
            ]),
        ]
        values[targetKey] = fingerprint.map { .string($0.hex) }
        for key in ["rope_theta", "rope_scaling", "rope_parameters"] { values[key] = original[key] }
        return try StrictJSON.encode(values)
    }
}
