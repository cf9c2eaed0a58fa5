import TensorNetworks
import Tensors

/// y = x · Wᵀ + bias, with W dense or a tensor network, and its values perhaps quantised.
package struct Linear {
    package enum Weight {
        /// `[out, in]`.
        case dense(Tensor)
        case network(Factorization)
        /// Of any format, values of one byte each.
        case quantized(QuantizedNetwork)
        indirect case patches(PatchedMatrix)
    }

    package let weight: Weight
    /// `[out]`.
    package let bias: Tensor?

    package init(_ weight: Weight, bias: Tensor? = nil) {
        self.weight = weight
        self.bias = bias
    }

    /// For few tokens a network is contracted with them core by core; for many it is multiplied out first.
    /// - Parameter x: `[…, in]`.
    /// - Returns: `[…, out]`.
    package func callAsFunction(_ x: Tensor) throws -> Tensor {
        switch weight {
        case .dense(let matrix):
            return try x.linear(matrix, bias: bias)
        case .network(let network):
            guard x.count / network.columns < network.tokensToMultiplyOut else {
                return try x.linear(network.reconstructed(), bias: bias)
            }
            return try biased(network.apply(x))
        case .quantized(let network):
            // Widened for every product: what is in memory for good is a byte a value.
            return try Linear(Weight(widening: network, to: x.elementType), bias: bias)(x)
        case .patches(let matrix):
            return try biased(matrix.apply(x))
        }
    }

    private func biased(_ y: Tensor) throws -> Tensor { try bias.map { try y + $0 } ?? y }

    /// x · Wᵀ, without the bias.
    package func product(_ x: Tensor) throws -> Tensor { try Linear(weight)(x) }

    /// Values in the weight; row numbers of pivots and the bias are not counted.
    package var parameterCount: Int {
        switch weight {
        case .dense(let matrix): matrix.count
        case .network(let network): network.parameterCount
        case .quantized(let network): network.parameterCount
        case .patches(let matrix): matrix.parameterCount
        }
    }
}

extension Linear.Weight {
    /// The same values in a floating-point type.
    package init(widening network: QuantizedNetwork, to type: ElementType) throws {
        self =
            network.format == .dense
            ? .dense(try network.reconstructed(as: type)) : .network(try network.widened(as: type))
    }

    /// W `[out, in]`, multiplied out where it is a network; in float32 where it is quantised.
    package func dense() throws -> Tensor {
        switch self {
        case .dense(let matrix): matrix
        case .network(let network): try network.reconstructed()
        case .quantized(let network): try network.reconstructed(as: .float32)
        case .patches(let matrix): try matrix.dense()
        }
    }
}

extension Linear.Weight {
    /// The same with its values in another type.
    package func converted(to type: ElementType) throws -> Linear.Weight {
        try mapTensors { try $0.converted(to: type) }
    }

    /// The same with every value tensor transformed, quantised values as float32; row numbers follow the values
    /// to their device.
    package func mapTensors(_ transform: (Tensor) throws -> Tensor) throws -> Linear.Weight {
        switch self {
        case .dense(let matrix): .dense(try transform(matrix))
        case .network(let network): .network(try network.mapTensors(transform))
        case .quantized(let network):
            try Linear.Weight(widening: network, to: .float32).mapTensors(transform)
        case .patches(let matrix):
            .patches(
                PatchedMatrix(
                    rows: matrix.rows, columns: matrix.columns,
                    patches: try matrix.patches.map {
                        PatchedMatrix.Patch($0.region, try $0.weight.mapTensors(transform))
                    }))
        }
    }

    /// Bytes of the values and of their scales; row numbers are not counted.
    package var valueBytes: Int {
        switch self {
        case .dense(let matrix): matrix.byteCount
        case .network(let network):
            network.parts.reduce(0) {
                $0 + ($1.tensor.elementType.isFloatingPoint ? $1.tensor.byteCount : 0)
            }
        case .quantized(let network): network.valueBytes
        case .patches(let matrix): matrix.patches.reduce(0) { $0 + $1.weight.valueBytes }
        }
    }

    /// The stored tensors, in the order of `Format.parts`, scales behind what they scale; of a patched matrix each patch has its own.
    package var parts: [NamedTensor] {
        switch self {
        case .dense(let matrix): [("weight", matrix)]
        case .network(let network): network.parts
        case .quantized(let network): network.parts
        case .patches: preconditionFailure("a patched matrix has parts patch by patch")
        }
    }
}
