import Tensors

/// A ring of cores: W[o₁…, i₁…] = tr(core₁[o₁, i₁] · core₂[o₂, i₂] ⋯).
package struct TensorRing: Network {
    package let modes: TensorModes
    package let rows: Int
    package let columns: Int
    /// Core k is `[rank(k), output mode, input mode, rank(k+1)]`; the last right rank is the first left one.
    package let cores: [Tensor]
    private let chain: CoreChain

    package init(
        modes: TensorModes, rows: Int, columns: Int, cores: [Tensor]
    ) throws(NetworkError) {
        let format = Self.format(modes, cores)
        let parts = Self.parts(cores)
        try Self.validate(parts, as: format, rows: rows, columns: columns)
        self.modes = modes
        self.rows = rows
        self.columns = columns
        self.cores = cores
        chain = CoreChain(cores: cores)
        try validateParts()
    }

    package var format: Format { Self.format(modes, cores) }
    package var parts: [NamedTensor] { Self.parts(cores) }

    private static func format(_ modes: TensorModes, _ cores: [Tensor]) -> Format {
        .tensorRing(modes, ranks: cores.map { $0.shape.first ?? 0 })
    }

    private static func parts(_ cores: [Tensor]) -> [NamedTensor] {
        cores.enumerated().map { ("core.\($0)", $1) }
    }

    func applied(to x: Tensor) throws -> Tensor {
        try modes.trimmed(chain.applied(to: modes.padded(x)), rows: rows)
    }

    func reconstructed() throws -> Tensor {
        try modes.trimmed(chain.reconstructed(), rows: rows, columns: columns)
    }
}
