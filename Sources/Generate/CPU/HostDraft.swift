import CDecode
import Models
import Tensors

/// An EAGLE-3 draft as the CPU computes a few tokens with it: the products of `DraftModel`, without what some forty operations of
/// libtorch take beside them.
final class HostDraft {
    private let model: DraftModel
    private let fc: HostMatrix
    private let query: HostMatrix
    private let key: HostMatrix
    private let value: HostMatrix
    private let output: HostMatrix
    private let gate: HostMatrix
    private let up: HostMatrix
    private let down: HostMatrix
    private let head: HostMatrix
    private let embedding: HostMatrix
    private let inputNorm: [Float]
    private let hiddenNorm: [Float]
    private let feedForwardNorm: [Float]
    private let norm: [Float]
    private let pool: WorkerPool
    private let scratch = Scratch()

    /// Rows that it is the faster way for.
    static let mostRows = 8

    /// - Parameter pool: of the target's steps.
    init(_ model: DraftModel, pool: WorkerPool) throws {
        precondition(model.embedding.device == .cpu, "the host runs what the host holds")
        (self.model, self.pool) = (model, pool)
        func matrix(_ name: String, ofLayer: Bool = true) throws -> HostMatrix {
            let weight = model.weight(name, ofLayer: ofLayer)
            return try HostMatrix(weight, rows: weight.shape[0])
        }
        func vector(_ name: String, ofLayer: Bool = true) throws -> [Float] {
            try model.weight(name, ofLayer: ofLayer).elements(as: Float.self)
        }
        fc = try matrix("fc", ofLayer: false)
        query = try matrix("self_attn.q_proj")
        key = try matrix("self_attn.k_proj")
        value = try matrix("self_attn.v_proj")
        output = try matrix("self_attn.o_proj")
        gate = try matrix("mlp.gate_proj")
        up = try matrix("mlp.up_proj")
        down = try matrix("mlp.down_proj")
        head = try matrix("lm_head", ofLayer: false)
        embedding = try HostMatrix(model.embedding, rows: model.embedding.shape[0])
        inputNorm = try vector("input_layernorm")
        hiddenNorm = try vector("hidden_norm")
        feedForwardNorm = try vector("post_attention_layernorm")
        norm = try vector("norm", ofLayer: false)
    }

    private func multiply(
        _ matrix: HostMatrix, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>,
        rows: Int, adds: Bool = false
    ) {
        cd_linear(
            pool.raw, matrix.raw, x, Int64(matrix.columns), y, Int64(matrix.rows), nil,
            Int64(rows), adds)
    }

    private func normalize(
        _ x: UnsafePointer<Float>, _ weight: [Float], _ y: UnsafeMutablePointer<Float>, rows: Int
    ) {
        cd_rms_norm(
            pool.raw, x, weight, y, Int64(rows), Int64(weight.count),
            model.configuration.layer.normEpsilon)
    }

    /// g of features, `[rows, 3 · target's hidden]`.
    func combine(_ features: [Float]) -> [Float] {
        let rows = features.count / fc.columns
        return [Float](unsafeUninitializedCapacity: rows * fc.rows) { buffer, count in
            count = rows * fc.rows
            guard let y = buffer.baseAddress else { return }
            multiply(fc, features, y, rows: rows)
        }
    }

    /// The layer's output o, `[rows, hidden]`.
    /// - Parameters:
    ///   - g: `[rows, hidden]`, in the order of the pieces' tokens.
    ///   - cache: float32, of one layer.
    func forward(_ g: [Float], _ pieces: [PagedBatch.Piece], _ cache: PagedCache) throws -> [Float]
    {
        let layer = model.configuration.layer
        let hidden = layer.hiddenSize
        let tokens = pieces.flatMap(\.tokens)
        let rows = tokens.count
        let widths = [
            hidden, hidden, 2 * hidden, layer.queryWidth, layer.keyValueWidth, layer.keyValueWidth,
            layer.queryWidth, layer.intermediateSize, layer.intermediateSize,
        ]
        var memory = scratch.reserve(rows * widths.reduce(0, +))
        let parts = widths.map { width in
            defer { memory += rows * width }
            return memory
        }
        let (normed, embedded, z) = (parts[0], parts[1], parts[2])
        for (row, token) in tokens.enumerated() {
            embedding.copyRow(Int(token), to: normed + row * hidden)
        }
        normalize(normed, inputNorm, embedded, rows: rows)
        normalize(g, hiddenNorm, normed, rows: rows)
        for row in 0..<rows {
            (z + 2 * row * hidden).update(from: embedded + row * hidden, count: hidden)
            (z + (2 * row + 1) * hidden).update(from: normed + row * hidden, count: hidden)
        }
        for (matrix, part) in zip([query, key, value], parts[3...5]) {
            multiply(matrix, z, part, rows: rows)
        }
        try attend(pieces, cache, parts[3], parts[4], parts[5], into: parts[6])
        return [Float](unsafeUninitializedCapacity: rows * hidden) { buffer, count in
            count = rows * hidden
            guard let x = buffer.baseAddress else { return }
            if model.configuration.normsBeforeResidual {
                x.update(from: normed, count: count)
            } else {
                g.withUnsafeBufferPointer { from in
                    for index in 0..<count { x[index] = from[index] }
                }
            }
            multiply(output, parts[6], x, rows: rows, adds: true)
            normalize(x, feedForwardNorm, normed, rows: rows)
            multiply(gate, normed, parts[7], rows: rows)
            multiply(up, normed, parts[8], rows: rows)
            cd_swiglu(pool.raw, parts[7], parts[8], Int64(rows * layer.intermediateSize))
            multiply(down, parts[7], x, rows: rows, adds: true)
        }
    }

    private func attend(
        _ pieces: [PagedBatch.Piece], _ cache: PagedCache, _ queries: UnsafeMutablePointer<Float>,
        _ keys: UnsafeMutablePointer<Float>, _ values: UnsafeMutablePointer<Float>,
        into attended: UnsafeMutablePointer<Float>
    ) throws {
        let layer = model.configuration.layer
        let angles = try model.rotary.angles(
            at: pieces.flatMap { $0.start..<$0.start + $0.tokens.count })
        try HostSequences(pieces.map { ($0.start, $0.tokens.count, $0.blocks) }, angles).lend {
            sequences in
            try cache.withFloats(ofLayer: 0) { cachedKeys, cachedValues in
                var attention = cd_attention(
                    heads: Int64(layer.headCount), kv_heads: Int64(layer.keyValueHeadCount),
                    head_dim: Int64(layer.headDim), block_tokens: Int64(cache.blockTokens),
                    query_norm: nil, key_norm: nil, epsilon: layer.normEpsilon, keys: cachedKeys,
                    values: cachedValues, window: Int64(layer.slidingWindows[0] ?? 0))
                cd_attend(
                    pool.raw, &attention, sequences, Int64(sequences.count), queries, keys, values,
                    attended)
            }
        }
    }

    /// Logits of the draft's vocabulary behind outputs o `[rows, hidden]`, `[rows, draft's vocabulary]`.
    func project(_ outputs: [Float]) -> [Float] {
        let rows = outputs.count / norm.count
        let normed = scratch.reserve(outputs.count)
        normalize(outputs, norm, normed, rows: rows)
        return [Float](unsafeUninitializedCapacity: rows * head.rows) { buffer, count in
            count = rows * head.rows
            guard let y = buffer.baseAddress else { return }
            multiply(head, normed, y, rows: rows)
        }
    }
}
