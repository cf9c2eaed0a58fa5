import CTorch

extension Tensor {
    /// Rows of this `[vocabulary, hidden]` table at integer `ids`: `[…ids, hidden]`.
    package func embedding(_ ids: Tensor) throws(TensorError) -> Tensor {
        try TorchCall.make("embedding", [self, ids]) { ct_embedding($0[0], $0[1], $1) }
    }

    package func softmax(_ dimension: Int = -1) throws(TensorError) -> Tensor {
        try TorchCall.make("softmax", [self]) { ct_softmax($0[0], Int64(dimension), false, $1) }
    }

    package func logSoftmax(_ dimension: Int = -1) throws(TensorError) -> Tensor {
        try TorchCall.make("logSoftmax", [self]) { ct_softmax($0[0], Int64(dimension), true, $1) }
    }

    /// log softmax over the last dimension, in float32 whatever the type of these logits.
    package func logSoftmaxInFloat32() throws(TensorError) -> Tensor {
        try TorchCall.make("logSoftmaxInFloat32", [self]) { ct_log_softmax_float($0[0], $1) }
    }

    /// x / √(mean(x²) + epsilon) · weight over the last dimension, computed in at least float32.
    /// - Parameter weight: `[last]`.
    package func rmsNorm(_ weight: Tensor, epsilon: Double) throws(TensorError) -> Tensor {
        try TorchCall.make("rmsNorm", [self, weight]) { ct_rms_norm($0[0], $0[1], epsilon, $1) }
    }

    /// Halves a, b of the last dimension turned: [a·cos − b·sin, b·cos + a·sin].
    /// - Parameters:
    ///   - cosines: broadcast to the halves; `sines` alike. Neither has a gradient.
    package func rotated(
        cosines: Tensor, sines: Tensor
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("rotated", [self, cosines, sines]) {
            ct_rotate($0[0], $0[1], $0[2], $1)
        }
    }

    /// silu(self) · up, without a second temporary (SwiGLU, Shazeer 2020, arXiv 2002.05202).
    package func swiGLU(_ up: Tensor) throws(TensorError) -> Tensor {
        try TorchCall.make("swiGLU", [self, up]) { ct_swiglu($0[0], $0[1], $1) }
    }

    /// softmax(q·kᵀ / √headDim + mask) · v.
    /// - Parameters:
    ///   - self: queries `[batch, heads, queries, headDim]`.
    ///   - keys: `[batch, kvHeads, tokens, headDim]`; `values` alike.
    ///   - mask: broadcast to `[batch, heads, queries, tokens]`: bool, true where a query may look,
    ///     or a float that is added to the scores.
    ///   - causal: query i sees tokens 0…i; needs `queries == tokens` and no mask.
    package func attention(
        keys: Tensor, values: Tensor, mask: Tensor? = nil, causal: Bool = false
    ) throws(TensorError) -> Tensor {
        let grouped = shape[1] != keys.shape[1]
        return try TorchCall.make("attention", [self, keys, values] + (mask.map { [$0] } ?? [])) {
            ct_attention($0[0], $0[1], $0[2], $0.count > 3 ? $0[3] : nil, causal, grouped, $1)
        }
    }

    /// Attention of the last queries of a sequence to all its tokens, each up to itself, by FlashAttention-2
    /// (Dao 2023, arXiv 2307.08691).
    /// - Parameters:
    ///   - self: queries `[batch, queries, heads, headDim]`, float16 or bfloat16 on a GPU.
    ///   - keys: `[batch, tokens, kvHeads, headDim]`; `values` alike.
    ///   - window: tokens that each sees at most.
    package func flashAttention(
        keys: Tensor, values: Tensor, window: Int? = nil
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("flashAttention", [self, keys, values]) {
            ct_flash_attention($0[0], $0[1], $0[2], Int64(window ?? 0), $1)
        }
    }

    /// Attention as cuDNN computes it, shapes as of `attention`, and ln Σ exp(scores), float32
    /// `[batch, heads, queries]`. A plan is made for every shape when it comes first, which takes 40 ms.
    package func cuDNNAttention(
        keys: Tensor, values: Tensor, causal: Bool
    ) throws(TensorError) -> (attended: Tensor, totals: Tensor) {
        let made = try TorchCall.make("cuDNNAttention", [self, keys, values], count: 2) {
            ct_cudnn_attention($0[0], $0[1], $0[2], causal, $1, $1 + 1)
        }
        return (made[0], made[1])
    }

    /// Whether libtorch has cuDNN's attention for such operands and holds it for the fastest.
    package func prefersCuDNNAttention(
        keys: Tensor, values: Tensor, causal: Bool
    ) throws(TensorError) -> Bool {
        var prefers = false
        try TorchCall.run("prefersCuDNNAttention", [self, keys, values]) {
            ct_prefers_cudnn($0[0], $0[1], $0[2], causal, &prefers)
        }
        return prefers
    }

    /// Negative log-likelihood of `targets` under softmax of these logits.
    /// - Parameters:
    ///   - self: logits `[rows, vocabulary]`.
    ///   - targets: int64 `[rows]`.
    ///   - mean: over the rows, shape `[]`; else one per row, `[rows]`.
    package func crossEntropy(
        _ targets: Tensor, mean: Bool = true
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("crossEntropy", [self, targets]) {
            ct_cross_entropy($0[0], $0[1], mean, $1)
        }
    }

    /// Σ over rows of KL(p ‖ q) in nats, with ln p in `self` and ln q in `other`, both `[rows, choices]`.
    package func divergence(to other: Tensor) throws -> Double {
        try (exp() * (self - other)).sum(-1).converted(to: .float64).sum().scalar()
    }
}
