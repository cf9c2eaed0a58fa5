import TensorNetworks
import Tensors

/// y = x · Wᵀ + bias, with W dense or a tensor network.
package struct Linear {
    package enum Weight {
        /// `[out, in]`.
        case dense(Tensor)
        case network(Factorization)
    }

    package let weight: Weight
    /// `[out]`.
    package let bias: Tensor?

    package init(_ weight: Weight, bias: Tensor? = nil) {
        self.weight = weight
        self.bias = bias
    }

    /// - Parameter x: `[…, in]`.
    /// - Returns: `[…, out]`.
    package func callAsFunction(_ x: Tensor) throws -> Tensor {
        switch weight {
        case .dense(let matrix):
            return try x.linear(matrix, bias: bias)
        case .network(let network):
            let y = try network.apply(x)
            guard let bias else { return y }
            return try y + bias
        }
    }

    /// x · Wᵀ, without the bias.
    package func product(_ x: Tensor) throws -> Tensor { try Linear(weight)(x) }

    /// Values in the weight; row numbers of pivots and the bias are not counted.
    package var parameterCount: Int {
        switch weight {
        case .dense(let matrix): matrix.count
        case .network(let network): network.parameterCount
        }
    }
}

extension Linear.Weight {
    /// W `[out, in]`, multiplied out where it is a network.
    package func dense() throws -> Tensor {
        switch self {
        case .dense(let matrix): matrix
        case .network(let network): try network.reconstructed()
        }
    }
}
