import Tensors

/// The values of a matrix W `[rows, columns]` in one of the formats; a dense matrix is held by its
/// layer, not here.
package indirect enum Factorization {
    case lowRank(LowRank)
    case pivotedLowRank(PivotedLowRank)
    case tucker(Tucker)
    case tensorTrain(TensorTrain)
    case tensorRing(TensorRing)
    case blockTerm(BlockTerm)
    case pivoted(Pivoted)
    case mixture(Mixture)

    var network: any Network {
        switch self {
        case .lowRank(let network): network
        case .pivotedLowRank(let network): network
        case .tucker(let network): network
        case .tensorTrain(let network): network
        case .tensorRing(let network): network
        case .blockTerm(let network): network
        case .pivoted(let network): network
        case .mixture(let network): network
        }
    }

    package var format: Format { network.format }
    package var rows: Int { network.rows }
    package var columns: Int { network.columns }
    /// The stored tensors, in the order of `format.parts(rows:columns:)`.
    package var parts: [NamedTensor] { network.parts }

    /// y = x·Wᵀ, contracted core by core: W itself is never formed.
    /// - Parameter x: `[…, columns]`.
    /// - Returns: `[…, rows]`.
    package func apply(_ x: Tensor) throws -> Tensor {
        let (shape, network) = (x.shape, network)
        guard shape.last == network.columns else {
            throw NetworkError.inputWidth(shape: shape, columns: network.columns)
        }
        guard shape.count != 2 else { return try network.applied(to: x) }
        let leading = Array(shape.dropLast())
        let flat = try x.reshaped([leading.reduce(1, *), network.columns])
        return try network.applied(to: flat).reshaped(leading + [network.rows])
    }

    /// From how many tokens on it is cheaper to multiply W out, which costs about as much as its largest bond
    /// has dimensions, than to contract the network with each of them. A token passes the split modes of a
    /// train at several times the cost of the dense matrix; low ranks cost less than it for any number.
    package var tokensToMultiplyOut: Int {
        switch self {
        case .lowRank, .pivotedLowRank: .max
        case .tucker, .tensorTrain, .tensorRing, .blockTerm, .pivoted, .mixture: 128
        }
    }

    /// W `[rows, columns]`, recorded for gradients where the parts are.
    package func reconstructed() throws -> Tensor { try network.reconstructed() }

    /// Values stored; row numbers are not values.
    package var parameterCount: Int {
        parts.reduce(0) { $0 + ($1.tensor.elementType.isFloatingPoint ? $1.tensor.count : 0) }
    }

    /// Bytes of everything stored.
    package var byteCount: Int { parts.reduce(0) { $0 + $1.tensor.byteCount } }
}
