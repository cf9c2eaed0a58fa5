import Tensors

extension Tensor {
    /// Sums `axis` against the first dimension of `matrix` `[extent, new extent]`; the axis keeps its
    /// place.
    func contracted(axis: Int, with matrix: Tensor) throws(TensorError) -> Tensor {
        let last = shape.count - 1
        guard axis != last else { return try matmul(matrix) }
        return try transposed(axis, last).matmul(matrix).transposed(axis, last)
    }

    /// The matrix whose rows are `axis` and whose columns are all others, in order.
    func unfolded(_ axis: Int) throws(TensorError) -> Tensor {
        let shape = shape
        let others = shape.indices.filter { $0 != axis }
        return try permuted([axis] + others)
            .reshaped([shape[axis], others.reduce(1) { $0 * shape[$1] }])
    }
}
