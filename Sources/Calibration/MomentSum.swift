import Tensors

/// Sums u·vᵀ over tokens.
package struct MomentSum {
    /// `[width of u, width of v]`, float64.
    private var sum: Tensor?
    private var count = 0

    private static let stripRows = 1_024

    package init() {}

    /// Adds u `[…, a]` and v `[…, b]` of the same tokens.
    package mutating func add(_ u: Tensor, _ v: Tensor) throws {
        let (height, width) = (u.shape[u.shape.count - 1], v.shape[v.shape.count - 1])
        let left = try u.reshaped([-1, height]).converted(to: .float32).transposed()
        let right = try v.reshaped([-1, width]).converted(to: .float32)
        let total = try sum ?? Tensor.zeros([height, width], .float64, on: u.device)
        sum = total
        // One window is multiplied in float32 and the sums are kept in float64: a window has a few
        // thousand rows, so its rounding stays near 1e-6 and does not grow with the text. A strip of
        // rows at a time, so that a wide layer's product needs little memory beside its sum.
        for start in stride(from: 0, to: height, by: Self.stripRows) {
            let strip = start..<min(start + Self.stripRows, height)
            let product = try left.narrowed(0, strip).matmul(right)
            try total.narrowed(0, strip).accumulate(product.converted(to: .float64))
        }
        count += right.shape[0]
    }

    /// E[u·vᵀ] `[a, b]`, float64, which is then forgotten here.
    package mutating func takeMean() throws -> Tensor {
        guard let mean = sum, count > 0 else { preconditionFailure("nothing was added") }
        sum = nil
        try mean.scale(by: 1 / Double(count))
        return mean
    }
}

/// Sums the squares of u's elements over tokens: the diagonal of the sum of u·uᵀ.
package struct DiagonalSum {
    /// `[width of u]`, float64.
    private var sum: Tensor?
    private var count = 0

    package init() {}

    /// Adds u `[…, width]`.
    package mutating func add(_ u: Tensor) throws {
        let width = u.shape[u.shape.count - 1]
        let rows = try u.reshaped([-1, width]).converted(to: .float64)
        let squares = try rows.squared().sum(0)
        sum = try sum.map { try $0 + squares } ?? squares
        count += rows.shape[0]
    }

    /// E[u²] `[width]`, float64.
    package func mean() throws -> Tensor {
        guard let sum, count > 0 else { preconditionFailure("nothing was added") }
        return try sum * (1 / Double(count))
    }
}
