import Tensors

/// Keys and values of the tokens that a batch of equally long sequences has seen so far.
package struct KVCache {
    /// Per layer `[batch, kvHeads, capacity, headDim]`; the first `length` tokens are valid.
    private var layers: [(keys: Tensor, values: Tensor)?]
    private var capacity: Int
    /// Tokens seen by every layer; the step loop advances it, layers only write beyond it.
    package private(set) var length = 0

    /// - Parameter capacity: tokens to reserve memory for; the cache grows when it is exceeded.
    package init(layers: Int, capacity: Int) {
        self.layers = Array(repeating: nil, count: layers)
        self.capacity = max(capacity, 1)
    }

    /// Writes `keys` and `values`, `[batch, kvHeads, tokens, headDim]`, behind the valid tokens.
    /// - Returns: all tokens of the layer including these.
    mutating func extend(
        layer: Int, keys: Tensor, values: Tensor
    ) throws -> (keys: Tensor, values: Tensor) {
        let end = length + keys.shape[2]
        if end > capacity { capacity = max(end, 2 * capacity) }
        var stored =
            try layers[layer] ?? (Self.reserve(keys, capacity), Self.reserve(values, capacity))
        if stored.keys.shape[2] < capacity {
            stored = (
                try grown(stored.keys), try grown(stored.values)
            )
        }
        try stored.keys.narrowed(2, length..<end).assign(keys)
        try stored.values.narrowed(2, length..<end).assign(values)
        layers[layer] = stored
        return (try stored.keys.narrowed(2, 0..<end), try stored.values.narrowed(2, 0..<end))
    }

    /// Counts `tokens` more as seen, once every layer has been extended by them.
    package mutating func advance(by tokens: Int) { length += tokens }

    /// A cache of its own for every index: the tokens that the sequence at that index has seen, with room
    /// for `tokens` more.
    /// - Parameter indices: int64 `[sequences]`, into this cache's batch.
    package func selecting(_ indices: Tensor, reserving tokens: Int) throws -> KVCache {
        var selected = KVCache(layers: layers.count, capacity: length + tokens)
        selected.length = length
        func copied(_ stored: Tensor) throws -> Tensor {
            let wanted = try stored.narrowed(2, 0..<length).selecting(indices, along: 0)
            let larger = try Self.reserve(wanted, selected.capacity)
            try larger.narrowed(2, 0..<length).assign(wanted)
            return larger
        }
        selected.layers = try layers.map { layer in
            try layer.map { (try copied($0.keys), try copied($0.values)) }
        }
        return selected
    }

    private static func reserve(_ like: Tensor, _ capacity: Int) throws -> Tensor {
        let shape = like.shape
        return try Tensor.zeros(
            [shape[0], shape[1], capacity, shape[3]], like.elementType, on: like.device)
    }

    private func grown(_ stored: Tensor) throws -> Tensor {
        let larger = try Self.reserve(stored, capacity)
        try larger.narrowed(2, 0..<length).assign(try stored.narrowed(2, 0..<length))
        return larger
    }
}
