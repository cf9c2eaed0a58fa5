import CTorch

extension Tensor {
    private func reduced(
        _ name: String, _ op: ct_reduction, _ dimension: Int?, _ keep: Bool
    ) throws(TensorError) -> Tensor {
        try TorchCall.make(name, [self]) {
            ct_reduce(op, $0[0], dimension == nil, Int64(dimension ?? 0), keep, $1)
        }
    }

    // Without a dimension each of these reduces over all elements, to shape [].

    package func sum(_ dimension: Int? = nil, keeping: Bool = false) throws(TensorError) -> Tensor {
        try reduced("sum", CT_SUM, dimension, keeping)
    }
    package func mean(_ dimension: Int? = nil, keeping: Bool = false) throws(TensorError) -> Tensor
    {
        try reduced("mean", CT_MEAN, dimension, keeping)
    }
    package func max(_ dimension: Int? = nil, keeping: Bool = false) throws(TensorError) -> Tensor {
        try reduced("max", CT_AMAX, dimension, keeping)
    }
    package func min(_ dimension: Int? = nil, keeping: Bool = false) throws(TensorError) -> Tensor {
        try reduced("min", CT_AMIN, dimension, keeping)
    }
    /// log Σ exp, computed without overflow.
    package func logSumExp(_ dimension: Int) throws(TensorError) -> Tensor {
        try reduced("logSumExp", CT_LOGSUMEXP, dimension, false)
    }
    /// Index of the largest element, int64.
    package func argmax(_ dimension: Int? = nil) throws(TensorError) -> Tensor {
        try reduced("argmax", CT_ARGMAX, dimension, false)
    }
    /// Square root of the sum of squares.
    package func norm(_ dimension: Int? = nil, keeping: Bool = false) throws(TensorError) -> Tensor
    {
        try reduced("norm", CT_NORM2, dimension, keeping)
    }
    package func all(_ dimension: Int? = nil) throws(TensorError) -> Tensor {
        try reduced("all", CT_ALL, dimension, false)
    }
    package func any(_ dimension: Int? = nil) throws(TensorError) -> Tensor {
        try reduced("any", CT_ANY, dimension, false)
    }
    package func cumulativeSum(_ dimension: Int) throws(TensorError) -> Tensor {
        try TorchCall.make("cumulativeSum", [self]) { ct_cumsum($0[0], Int64(dimension), $1) }
    }

    /// Sorts along `dimension`, keeping the order of equal elements.
    package func sorted(
        _ dimension: Int, descending: Bool = false
    ) throws(TensorError) -> (values: Tensor, indices: Tensor) {
        let pair = try TorchCall.make("sorted", [self], count: 2) {
            ct_sort($0[0], Int64(dimension), descending, $1, $1 + 1)
        }
        return (pair[0], pair[1])
    }

    /// The `count` largest elements along `dimension`, largest first.
    package func largest(
        _ count: Int, along dimension: Int
    ) throws(TensorError) -> (values: Tensor, indices: Tensor) {
        let pair = try TorchCall.make("largest(\(count))", [self], count: 2) {
            ct_topk($0[0], Int64(count), Int64(dimension), $1, $1 + 1)
        }
        return (pair[0], pair[1])
    }
}
