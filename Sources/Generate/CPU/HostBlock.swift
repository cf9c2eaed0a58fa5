import Artifacts
import CDecode
import Models
import Tensors

/// A decoder block as the CPU computes one token of each of several sequences with it.
struct HostBlock {
    private let projections: [Projection: HostLinear]
    private let biases: [Projection: [Float]]
    private let attentionNorm: [Float]
    private let feedForwardNorm: [Float]
    private let queryNorm: [Float]?
    private let keyNorm: [Float]?
    private let configuration: ModelConfiguration
    private let window: Int

    /// - Parameter type: what quantised weights without a routine of their own are widened to.
    init(
        _ block: DecoderBlock, _ configuration: ModelConfiguration, widening type: ElementType
    ) throws {
        var projections: [Projection: HostLinear] = [:]
        var biases: [Projection: [Float]] = [:]
        for projection in Projection.allCases {
            projections[projection] = try HostLinear(block[projection].weight, widening: type)
            biases[projection] = try block[projection].bias?.elements(as: Float.self)
        }
        self.projections = projections
        self.biases = biases
        attentionNorm = try block.attentionNorm.elements(as: Float.self)
        feedForwardNorm = try block.feedForwardNorm.elements(as: Float.self)
        queryNorm = try block.queryNorm?.elements(as: Float.self)
        keyNorm = try block.keyNorm?.elements(as: Float.self)
        self.configuration = configuration
        window = configuration.slidingWindows[block.index] ?? 0
    }

    /// Formats that have no routine of their own.
    var contractedByLibtorch: Set<String> {
        Set(projections.values.flatMap(\.contractedByLibtorch))
    }

    /// Memory of a step, each `[batch, …]`.
    struct Activations {
        /// The residual stream.
        let x: UnsafeMutablePointer<Float>
        let normalized: UnsafeMutablePointer<Float>
        let queries: UnsafeMutablePointer<Float>
        let keys: UnsafeMutablePointer<Float>
        let values: UnsafeMutablePointer<Float>
        let attended: UnsafeMutablePointer<Float>
        let gate: UnsafeMutablePointer<Float>
        let up: UnsafeMutablePointer<Float>

        /// Values of one row of all of them.
        static func width(_ configuration: ModelConfiguration) -> Int {
            2 * configuration.hiddenSize + 2 * configuration.queryWidth
                + 2 * configuration.keyValueWidth + 2 * configuration.intermediateSize
        }

        init(
            _ memory: UnsafeMutablePointer<Float>, _ configuration: ModelConfiguration, batch: Int
        ) {
            var next = memory
            func take(_ width: Int) -> UnsafeMutablePointer<Float> {
                defer { next += batch * width }
                return next
            }
            x = take(configuration.hiddenSize)
            normalized = take(configuration.hiddenSize)
            queries = take(configuration.queryWidth)
            keys = take(configuration.keyValueWidth)
            values = take(configuration.keyValueWidth)
            attended = take(configuration.queryWidth)
            gate = take(configuration.intermediateSize)
            up = take(configuration.intermediateSize)
        }
    }

    /// Where the block's keys and values are, `[blocks, kvHeads, blockTokens, headDim]`.
    struct Memory {
        let keys: UnsafeMutablePointer<Float>
        let values: UnsafeMutablePointer<Float>
        let blockTokens: Int
    }

    /// Takes the residual stream of one token of each sequence through the block.
    func run(
        _ a: Activations, _ sequences: [cd_sequence], _ memory: Memory, _ pool: WorkerPool,
        _ scratch: Scratch
    ) throws {
        let batch = sequences.count
        let (hidden, query) = (configuration.hiddenSize, configuration.queryWidth)
        let (keyValue, wide) = (configuration.keyValueWidth, configuration.intermediateSize)
        func project(
            _ projection: Projection, _ x: UnsafeMutablePointer<Float>, _ width: Int,
            _ y: UnsafeMutablePointer<Float>, _ rows: Int, adds: Bool = false
        ) throws {
            guard let linear = projections[projection] else {
                preconditionFailure("a block holds every projection")
            }
            try linear.apply(
                .init(values: UnsafePointer(x), stride: width), .init(values: y, stride: rows),
                batch: batch, adds: adds, pool, scratch)
            guard let bias = biases[projection] else { return }
            for row in 0..<batch { cd_add(pool.raw, y + row * rows, bias, Int64(rows)) }
        }
        func normalize(_ weight: [Float]) {
            cd_rms_norm(
                pool.raw, a.x, weight, a.normalized, Int64(batch), Int64(hidden),
                configuration.normEpsilon)
        }
        normalize(attentionNorm)
        try project(.query, a.normalized, hidden, a.queries, query)
        try project(.key, a.normalized, hidden, a.keys, keyValue)
        try project(.value, a.normalized, hidden, a.values, keyValue)
        attend(a, sequences, memory, pool)
        try project(.output, a.attended, query, a.x, hidden, adds: true)
        normalize(feedForwardNorm)
        try project(.gate, a.normalized, hidden, a.gate, wide)
        try project(.up, a.normalized, hidden, a.up, wide)
        cd_swiglu(pool.raw, a.gate, a.up, Int64(batch * wide))
        try project(.down, a.gate, wide, a.x, hidden, adds: true)
    }

    private func attend(
        _ a: Activations, _ sequences: [cd_sequence], _ memory: Memory, _ pool: WorkerPool
    ) {
        func run(_ queryNorm: UnsafePointer<Float>?, _ keyNorm: UnsafePointer<Float>?) {
            var attention = cd_attention(
                heads: Int64(configuration.headCount),
                kv_heads: Int64(configuration.keyValueHeadCount),
                head_dim: Int64(configuration.headDim), block_tokens: Int64(memory.blockTokens),
                query_norm: queryNorm, key_norm: keyNorm, epsilon: configuration.normEpsilon,
                keys: memory.keys, values: memory.values, window: Int64(window))
            cd_attend(
                pool.raw, &attention, sequences, Int64(sequences.count), a.queries, a.keys,
                a.values, a.attended)
        }
        guard let queryNorm, let keyNorm else {
            run(nil, nil)
            return
        }
        queryNorm.withUnsafeBufferPointer { query in
            keyNorm.withUnsafeBufferPointer { key in run(query.baseAddress, key.baseAddress) }
        }
    }
}
