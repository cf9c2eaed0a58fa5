import Tensors

/// Which tokens a run of queries may look at.
enum AttentionMask {
    /// One query that sees all tokens.
    case none
    /// Query i sees tokens 0…i.
    case causal
    /// Query i sits at position `past + i` and sees the tokens up to itself, the last `window` of them.
    case banded(queries: Int, past: Int, window: Int?)

    init(queries: Int, past: Int, window: Int?) {
        let windowMatters = window.map { past + queries > $0 } ?? false
        if queries == 1 && !windowMatters {
            self = .none
        } else if past == 0 && !windowMatters {
            self = .causal
        } else {
            self = .banded(queries: queries, past: past, window: window)
        }
    }

    /// - Parameter queries: `[batch, heads, queries, headDim]`; keys and values
    ///   `[batch, kvHeads, tokens, headDim]`.
    func attend(_ queries: Tensor, _ keys: Tensor, _ values: Tensor) throws -> Tensor {
        switch self {
        case .none:
            return try queries.attention(keys: keys, values: values)
        case .causal:
            return try queries.attention(keys: keys, values: values, causal: true)
        case .banded(let count, let past, let window):
            let tokens = Double(past + count)
            let keyPositions = try Tensor.range(to: tokens, on: queries.device).unsqueezed(0)
            let queryPositions = try Tensor.range(Double(past), to: tokens, on: queries.device)
                .unsqueezed(1)
            var visible = try keyPositions.lessOrEqual(queryPositions)
            if let window {
                visible = try visible.and(keyPositions.greater(queryPositions - Double(window)))
            }
            return try queries.attention(keys: keys, values: values, mask: visible)
        }
    }
}
