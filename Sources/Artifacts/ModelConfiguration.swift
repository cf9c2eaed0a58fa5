import Glibc
import Tensors

/// The architectures that Minima runs, under their Hugging Face `model_type`.
package enum Architecture: String, CaseIterable, Codable, Sendable {
    case qwen3, qwen2, llama, mistral
}

/// What a checkpoint's `config.json` (and `generation_config.json`) say of the model.
///
/// Missing keys take the defaults of the architecture in transformers; keys that mean something that
/// Minima does not compute are errors, never ignored.
package struct ModelConfiguration: Hashable, Sendable {
    package let architecture: Architecture
    package let hiddenSize: Int
    /// Width of the feed-forward block.
    package let intermediateSize: Int
    package let layerCount: Int
    package let headCount: Int
    /// Heads of keys and values; divides `headCount`.
    package let keyValueHeadCount: Int
    package let headDim: Int
    package let vocabularySize: Int
    package let normEpsilon: Double
    package let maxPositions: Int
    /// Whether the output head is the embedding.
    package let tiesEmbeddings: Bool
    package let biases: Biases
    package let rotary: RotaryEmbedding
    /// Per layer: a position attends to this many positions, itself included; `nil` means to all.
    package let slidingWindows: [Int?]
    package let beginToken: Int?
    /// Any of these ends a text; from both files, without repetition.
    package let endTokens: [Int]
    /// The type that the weights were saved in, where the file says.
    package let elementType: ElementType?
    /// `config.json` as it was read, for folders that are made from this one.
    package let source: [UInt8]

    /// Which projections have a bias.
    package struct Biases: Hashable, Sendable {
        package let queryKeyValue: Bool
        package let attentionOutput: Bool
        package let feedForward: Bool
    }

    /// Whether queries and keys pass a norm per head before rotation.
    package var hasQueryKeyNorm: Bool { architecture == .qwen3 }
    package var queryWidth: Int { headCount * headDim }
    package var keyValueWidth: Int { keyValueHeadCount * headDim }
}

extension ModelConfiguration {
    package static let file = "config.json"
    package static let generationFile = "generation_config.json"
    /// Longest side of a weight, as `Format` also has it.
    static let largestSize = 1 << 24
    static let mostLayers = 1_000
    static let largestFile = 16 << 20

    /// Reads a Hugging Face folder's configuration.
    package init(folder: String) throws(CheckpointError) {
        let generation: [UInt8]?
        do {
            generation = try MappedFile.contents(
                "\(folder)/\(Self.generationFile)", limit: Self.largestFile)
        } catch .unreadable(_, let fault) where fault.code == ENOENT {
            generation = nil
        }
        try self.init(
            parsing: try MappedFile.contents("\(folder)/\(Self.file)", limit: Self.largestFile),
            generation: generation, folder: folder)
    }

    /// Reads a configuration that has no model.
    /// - Parameter layers: as many of its layers at most.
    package init(file: String, layers: Int? = nil) throws(CheckpointError) {
        let source = try MappedFile.contents(file, limit: Self.largestFile)
        let whole = try ModelConfiguration(parsing: source, file: file)
        guard let layers, layers < whole.layerCount,
            case .object(var values) = try JSONValue(parsing: source, of: file)
        else {
            self = whole
            return
        }
        values["num_hidden_layers"] = .integer(layers)
        if case .array(let types)? = values["layer_types"] {
            values["layer_types"] = .array(Array(types.prefix(layers)))
        }
        let bytes: [UInt8]
        do {
            bytes = try StrictJSON.encode(values)
        } catch {
            throw .manifest(file: file, reason: "\(error)")
        }
        try self.init(parsing: bytes, file: file)
    }

    /// Reads the contents of `config.json` and, where there is one, of `generation_config.json`.
    /// - Parameters:
    ///   - folder: for error messages.
    ///   - file: the same, where it is not the folder's `config.json`.
    package init(
        parsing source: [UInt8], generation: [UInt8]? = nil, folder: String = ".",
        file: String? = nil
    ) throws(CheckpointError) {
        let values = try ConfigurationReader(source, of: file ?? "\(folder)/\(Self.file)")
        let generated = try generation.map { (bytes) throws(CheckpointError) in
            try ConfigurationReader(bytes, of: "\(folder)/\(Self.generationFile)")
        }
        self.source = source
        architecture = try values.architecture()
        try values.refuseUnsupported()

        hiddenSize = try values.size("hidden_size")
        intermediateSize = try values.size("intermediate_size")
        layerCount = try values.size("num_hidden_layers", limit: Self.mostLayers)
        headCount = try values.size("num_attention_heads")
        keyValueHeadCount = try values.size("num_key_value_heads", default: headCount)
        vocabularySize = try values.size("vocab_size")
        headDim = try values.headDim(architecture, hiddenSize: hiddenSize, headCount: headCount)
        try values.checkHeads(headCount, keyValueHeadCount, headDim)

        normEpsilon = try values.positive("rms_norm_eps", default: 1e-6)
        maxPositions = try values.size(
            "max_position_embeddings", default: architecture.defaultMaxPositions)
        tiesEmbeddings = try values.bool("tie_word_embeddings", default: false)
        biases = try values.biases(architecture)
        rotary = try RotaryEmbedding(values, maxPositions: maxPositions)
        slidingWindows = try values.slidingWindows(architecture, layerCount: layerCount)

        let generatedBegin = try generated?.tokens("bos_token_id") ?? []
        beginToken = (try values.tokens("bos_token_id") + generatedBegin).first
        let generatedEnd = try generated?.tokens("eos_token_id") ?? []
        var endTokens: [Int] = []
        for token in try values.tokens("eos_token_id") + generatedEnd
        where !endTokens.contains(token) {
            endTokens.append(token)
        }
        self.endTokens = endTokens
        elementType = try values.elementType()
    }
}

extension Architecture {
    /// `max_position_embeddings` where config.json has none, as in transformers.
    fileprivate var defaultMaxPositions: Int {
        switch self {
        case .qwen3, .qwen2: 32_768
        case .llama: 2_048
        case .mistral: 131_072
        }
    }
}
