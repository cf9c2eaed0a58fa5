// The tensors of a dense checkpoint, under the names that Hugging Face gives them.

/// One weight matrix of the model that multiplies activations, and so may be compressed.
package struct LinearModule: Hashable, Sendable {
    /// As in `model.layers.0.self_attn.q_proj`.
    package let name: String
    /// Output features.
    package let rows: Int
    /// Input features.
    package let columns: Int
    package let hasBias: Bool

    package var weight: ExpectedTensor {
        ExpectedTensor(name: "\(name).weight", shape: [rows, columns])
    }
}

/// A tensor that a checkpoint of some configuration must have.
package struct ExpectedTensor: Hashable, Sendable {
    package let name: String
    package let shape: [Int]

    package init(name: String, shape: [Int]) { (self.name, self.shape) = (name, shape) }
}

extension ModelConfiguration {
    /// The seven projections of a layer: q, k, v, o, gate, up, down.
    package func linearModules(ofLayer layer: Int) -> [LinearModule] {
        let (attention, feedForward) = (
            "model.layers.\(layer).self_attn", "model.layers.\(layer).mlp"
        )
        func module(_ name: String, _ rows: Int, _ columns: Int, _ hasBias: Bool) -> LinearModule {
            LinearModule(name: name, rows: rows, columns: columns, hasBias: hasBias)
        }
        return [
            module("\(attention).q_proj", queryWidth, hiddenSize, biases.queryKeyValue),
            module("\(attention).k_proj", keyValueWidth, hiddenSize, biases.queryKeyValue),
            module("\(attention).v_proj", keyValueWidth, hiddenSize, biases.queryKeyValue),
            module("\(attention).o_proj", hiddenSize, queryWidth, biases.attentionOutput),
            module("\(feedForward).gate_proj", intermediateSize, hiddenSize, biases.feedForward),
            module("\(feedForward).up_proj", intermediateSize, hiddenSize, biases.feedForward),
            module("\(feedForward).down_proj", hiddenSize, intermediateSize, biases.feedForward),
        ]
    }

    /// The projections of all layers, in order; the output head is not among them.
    package var linearModules: [LinearModule] {
        (0..<layerCount).flatMap { linearModules(ofLayer: $0) }
    }

    /// The output head where it is a matrix of its own.
    package var headModule: LinearModule? {
        tiesEmbeddings
            ? nil
            : LinearModule(
                name: "lm_head", rows: vocabularySize, columns: hiddenSize, hasBias: false)
    }

    /// Every tensor of a dense checkpoint, in the order in which the model uses them.
    package var expectedTensors: [ExpectedTensor] {
        var tensors = [
            ExpectedTensor(name: "model.embed_tokens.weight", shape: [vocabularySize, hiddenSize])
        ]
        for layer in 0..<layerCount {
            tensors += layerTensors(layer)
        }
        tensors.append(ExpectedTensor(name: "model.norm.weight", shape: [hiddenSize]))
        if let head = headModule { tensors.append(head.weight) }
        return tensors
    }

    private func layerTensors(_ layer: Int) -> [ExpectedTensor] {
        let prefix = "model.layers.\(layer)"
        var tensors = [
            ExpectedTensor(name: "\(prefix).input_layernorm.weight", shape: [hiddenSize])
        ]
        for module in linearModules(ofLayer: layer) {
            tensors.append(module.weight)
            if module.hasBias {
                tensors.append(ExpectedTensor(name: "\(module.name).bias", shape: [module.rows]))
            }
        }
        if hasQueryKeyNorm {
            for norm in ["q_norm", "k_norm"] {
                tensors.append(
                    ExpectedTensor(name: "\(prefix).self_attn.\(norm).weight", shape: [headDim]))
            }
        }
        tensors.append(
            ExpectedTensor(name: "\(prefix).post_attention_layernorm.weight", shape: [hiddenSize]))
        return tensors
    }
}
