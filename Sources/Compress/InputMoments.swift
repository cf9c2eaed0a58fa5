import Models
import TensorNetworks
import Tensors

/// Sums x·xᵀ over calibration tokens for each input of a block's linear layers.
struct InputMoments {
    private var sums: [Projection.Input: Tensor] = [:]
    private var counts: [Projection.Input: Int] = [:]

    /// Adds `[…, in]`.
    mutating func add(_ x: Tensor, to input: Projection.Input) throws {
        let width = x.shape[x.shape.count - 1]
        let rows = try x.reshaped([-1, width]).converted(to: .float32)
        // One window is multiplied in float32 and the sums are kept in float64: a window has a few
        // thousand rows, so its rounding stays near 1e-6 and does not grow with the text.
        let product = try rows.transposed().matmul(rows).converted(to: .float64)
        if let sum = sums[input] {
            try sum.accumulate(product)
        } else {
            sums[input] = product
        }
        counts[input, default: 0] += rows.shape[0]
    }

    /// A = E[x·xᵀ], which is then forgotten here.
    mutating func take(_ input: Projection.Input, shrinkage: Double) throws -> SecondMoment {
        guard let sum = sums.removeValue(forKey: input), let count = counts[input] else {
            preconditionFailure("every input was observed")
        }
        try sum.scale(by: 1 / Double(count))
        return try SecondMoment(
            sum, size: sum.shape[0], shrinkage: shrinkage, name: "the \(input) moment")
    }
}
