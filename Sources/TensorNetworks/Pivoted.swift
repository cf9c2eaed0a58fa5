import Tensors

/// A Tucker network, train, ring or block term with the gauge of its bonds fixed: of each tensor before a
/// bond of rank r, unfolded to `[rows, r]`, r rows are the identity and only the others are stored.
///
/// It is expanded when it is contracted: a copy of a core costs little beside the products that it enters.
/// Gradients flow to the stored values alone, so training keeps the identity as it is.
package struct Pivoted: Network {
    /// The format of the expanded network.
    package let inner: Format
    package let rows: Int
    package let columns: Int
    package let parts: [NamedTensor]

    private enum Piece {
        case whole(Tensor)
        /// Values `[rows − rank, rank]` of a tensor of shape `shape`.
        case fixed(Tensor, RowOrder, shape: [Int])
    }

    private let pieces: [(name: String, piece: Piece)]

    /// - Parameters:
    ///   - inner: what is pivoted.
    ///   - part: the tensor of a name in `Format.pivoted(inner).parts(rows:columns:)`.
    package init(
        _ inner: Format, rows: Int, columns: Int, part: (String) throws -> Tensor
    ) throws {
        self.inner = inner
        self.rows = rows
        self.columns = columns
        let format = Format.pivoted(inner)
        let (stored, expected): ([Format.Part], [Format.GaugeFixedPart])
        do {
            stored = try format.parts(rows: rows, columns: columns)
            expected = try inner.gaugeFixedParts(rows: rows, columns: columns)
        } catch {
            throw NetworkError.format(error)
        }
        parts = try stored.map { ($0.name, try part($0.name)) }
        try Self.validate(parts, as: format, rows: rows, columns: columns)
        let tensors = Dictionary(uniqueKeysWithValues: parts.map { ($0.name, $0.tensor) })
        pieces = try expected.map { expected in
            let name = expected.part.name
            guard let values = tensors[name] else {
                preconditionFailure("a pivoted network stores something for \(name)")
            }
            guard let pivots = tensors["\(name).pivots"] else { return (name, .whole(values)) }
            let order = try RowOrder(kept: pivots, rows: expected.rows)
            return (name, .fixed(values, order, shape: expected.part.shape))
        }
        try validateParts()
    }

    package var format: Format { .pivoted(inner) }

    /// The same network with its identities written out, recorded for gradients where the values are.
    package func expanded() throws -> Factorization {
        var tensors: [String: Tensor] = [:]
        for (name, piece) in pieces {
            switch piece {
            case .whole(let tensor):
                tensors[name] = tensor
            case .fixed(let values, let order, let shape):
                let identity = try Tensor.identity(
                    values.shape[1], values.elementType, on: values.device)
                tensors[name] = try order.joined(identity, values, along: 0).reshaped(shape)
            }
        }
        return try Factorization(format: inner, rows: rows, columns: columns) { name in
            guard let tensor = tensors[name] else {
                preconditionFailure("no piece of the network makes up \(name)")
            }
            return tensor
        }
    }

    func applied(to x: Tensor) throws -> Tensor { try expanded().network.applied(to: x) }

    func reconstructed() throws -> Tensor { try expanded().reconstructed() }
}
