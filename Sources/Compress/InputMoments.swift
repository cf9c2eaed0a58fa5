import Models
import TensorNetworks
import Tensors

/// Sums x·xᵀ over calibration tokens for each input of a block's linear layers.
struct InputMoments {
    private var sums: [Projection.Input: Tensor] = [:]
    private var counts: [Projection.Input: Int] = [:]

    private static let stripRows = 1_024

    /// Adds `[…, in]`.
    mutating func add(_ x: Tensor, to input: Projection.Input) throws {
        let width = x.shape[x.shape.count - 1]
        let rows = try x.reshaped([-1, width]).converted(to: .float32)
        let sum = try sums[input] ?? Tensor.zeros([width, width], .float64, on: x.device)
        sums[input] = sum
        // One window is multiplied in float32 and the sums are kept in float64: a window has a few
        // thousand rows, so its rounding stays near 1e-6 and does not grow with the text. A strip of
        // rows at a time, so that a wide layer's product needs little memory beside its sum.
        let columns = try rows.transposed()
        for start in stride(from: 0, to: width, by: Self.stripRows) {
            let strip = start..<min(start + Self.stripRows, width)
            let product = try columns.narrowed(0, strip).matmul(rows)
            try sum.narrowed(0, strip).accumulate(product.converted(to: .float64))
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
