import Models
import TensorNetworks
import Tensors

/// A matrix as the GPU's kernels read it: bfloat16, rows of whole 16-byte pieces.
struct DeviceMatrix {
    let rows: Int
    /// A multiple of 8: what is beyond the matrix is zero.
    let columns: Int
    private let tensor: Tensor

    /// - Parameters:
    ///   - matrix: bfloat16 `[rows, columns]` on a GPU; read where it is, if its shape allows that.
    ///   - rows: zero rows follow up to this number.
    init(_ matrix: Tensor, rows: Int? = nil) throws {
        let shape = matrix.shape
        let missing = (
            rows: (rows ?? shape[0]) - shape[0], columns: (8 - shape[1] % 8) % 8
        )
        self.rows = shape[0] + missing.rows
        columns = shape[1] + missing.columns
        let whole =
            missing == (0, 0) ? matrix : try matrix.padded([missing.columns, missing.rows])
        tensor = try whole.contiguous()
    }

    var address: UInt64 { tensor.deviceAddress }
}

/// A weight that the GPU's kernels compute with.
enum DeviceWeight {
    case dense(DeviceMatrix)
    /// `[rank, columns]`, then `[rows, rank]`; the rank padded to a multiple of 8.
    case lowRank(DeviceMatrix, DeviceMatrix)

    /// A format without a kernel is multiplied out: it takes the dense matrix' memory and time.
    init(_ weight: Linear.Weight) throws {
        switch weight {
        case .dense(let matrix):
            self = .dense(try DeviceMatrix(matrix))
        case .network(.lowRank(let pair)):
            let output = try DeviceMatrix(pair.output)
            self = .lowRank(try DeviceMatrix(pair.input, rows: output.columns), output)
        case .network, .quantized, .patches:
            self = .dense(try DeviceMatrix(weight.dense().converted(to: .bfloat16)))
        }
    }

    /// The format that is multiplied out, if it is.
    static func multipliedOut(_ weight: Linear.Weight) -> String? {
        switch weight {
        case .dense, .network(.lowRank): nil
        case .network(let network): network.format.kind.rawValue
        case .quantized(let network):
            "\(network.format.kind.rawValue) in \(network.elementType.rawValue)"
        case .patches: "patches"
        }
    }
}
