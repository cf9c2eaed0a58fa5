// How the keys of config.json become a configuration where that takes more than reading one value.
import Tensors

extension ConfigurationReader {
    func architecture() throws(CheckpointError) -> Architecture {
        guard let name = try string("model_type") else { throw error("model_type", "is missing") }
        guard let architecture = Architecture(rawValue: name) else {
            let supported = Architecture.allCases.map(\.rawValue).joined(separator: ", ")
            throw error("model_type", "is '\(name)'; supported are \(supported)")
        }
        return architecture
    }

    /// Refuses what would change the model's results and is not computed.
    func refuseUnsupported() throws(CheckpointError) {
        if let quantization = self["quantization_config"] {
            var method = "unknown"
            if case .object(let members) = quantization,
                case .string(let name)? = members["quant_method"]
            {
                method = name
            }
            throw error(
                "quantization_config",
                "says that the weights are quantized (\(method)); give the unquantized checkpoint")
        }
        let activation = try string("hidden_act") ?? "silu"
        guard activation == "silu" || activation == "swish" else {
            throw error("hidden_act", "is '\(activation)'; supported is silu")
        }
        if try positive("partial_rotary_factor", default: 1) != 1 {
            throw error("partial_rotary_factor", "is not 1")
        }
    }

    func headDim(
        _ architecture: Architecture, hiddenSize: Int, headCount: Int
    ) throws(CheckpointError) -> Int {
        // transformers' Qwen3 has 128 unless config.json says otherwise; the others divide.
        if architecture == .qwen3, !has("head_dim") { return 128 }
        guard self["head_dim"] == nil else { return try size("head_dim", limit: 1 << 16) }
        guard hiddenSize.isMultiple(of: headCount) else {
            throw error(
                "num_attention_heads",
                "is \(headCount), which does not divide hidden_size \(hiddenSize)")
        }
        return hiddenSize / headCount
    }

    func checkHeads(_ heads: Int, _ keyValueHeads: Int, _ headDim: Int) throws(CheckpointError) {
        guard heads.isMultiple(of: keyValueHeads) else {
            throw error(
                "num_key_value_heads",
                "is \(keyValueHeads), which does not divide num_attention_heads \(heads)")
        }
        // At most 2^24 · 2^24, so the product itself cannot overflow.
        guard heads * headDim <= ModelConfiguration.largestSize else {
            throw error("head_dim", "is \(headDim): \(heads) heads of it are absurdly wide")
        }
        guard headDim.isMultiple(of: 2) else {
            throw error("head_dim", "is \(headDim); rotary embedding needs an even one")
        }
    }

    func biases(
        _ architecture: Architecture
    ) throws(CheckpointError) -> ModelConfiguration.Biases {
        switch architecture {
        case .qwen2:
            // Always on q, k and v in transformers, which has no key for it.
            return .init(
                queryKeyValue: try bool("attention_bias", default: true),
                attentionOutput: false, feedForward: false)
        case .qwen3:
            let attention = try bool("attention_bias", default: false)
            return .init(
                queryKeyValue: attention, attentionOutput: attention, feedForward: false)
        case .llama:
            let attention = try bool("attention_bias", default: false)
            return .init(
                queryKeyValue: attention, attentionOutput: attention,
                feedForward: try bool("mlp_bias", default: false))
        case .mistral:
            return .init(queryKeyValue: false, attentionOutput: false, feedForward: false)
        }
    }

    func elementType() throws(CheckpointError) -> ElementType? {
        let key = self["dtype"] != nil ? "dtype" : "torch_dtype"
        switch try string(key) {
        case nil, "auto": return nil
        case "bfloat16", "torch.bfloat16": return .bfloat16
        case "float16", "torch.float16": return .float16
        case "float32", "torch.float32": return .float32
        case "float64", "torch.float64": return .float64
        case .some(let name): throw error(key, "is '\(name)', which is not a type of weights")
        }
    }

    // MARK: Sliding windows

    func slidingWindows(
        _ architecture: Architecture, layerCount: Int
    ) throws(CheckpointError) -> [Int?] {
        switch architecture {
        case .llama:
            return Array(repeating: nil, count: layerCount)
        case .mistral:
            // transformers' Mistral has a window of 4,096 unless config.json says null.
            guard has("sliding_window") else { return Array(repeating: 4_096, count: layerCount) }
            guard self["sliding_window"] != nil else {
                return Array(repeating: nil, count: layerCount)
            }
            return Array(repeating: try size("sliding_window"), count: layerCount)
        case .qwen2, .qwen3:
            return try qwenWindows(layerCount: layerCount)
        }
    }

    private func qwenWindows(layerCount: Int) throws(CheckpointError) -> [Int?] {
        let isUsed = try bool("use_sliding_window", default: false)
        let window =
            isUsed && (self["sliding_window"] != nil || !has("sliding_window"))
            ? try size("sliding_window", default: 4_096) : nil
        guard let value = self["layer_types"] else {
            let first = try size("max_window_layers", least: 0, default: 28)
            return (0..<layerCount).map { $0 >= first ? window : nil }
        }
        guard case .array(let types) = value, types.count == layerCount else {
            throw error("layer_types", "is not a list of \(layerCount) layers")
        }
        var windows: [Int?] = []
        for type in types {
            switch type {
            case .string("full_attention"):
                windows.append(nil)
            case .string("sliding_attention"):
                guard let window else {
                    throw error("layer_types", "has sliding layers, but there is no sliding window")
                }
                windows.append(window)
            default:
                throw error("layer_types", "knows full_attention and sliding_attention only")
            }
        }
        return windows
    }
}
