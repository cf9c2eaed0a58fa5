import Models
import TensorNetworks
import Tensors

/// A weight that the GPU's kernels compute with.
enum DeviceWeight {
    case dense(DeviceMatrix)
    /// `[rank, columns]`, then `[rows, rank]`; the rank padded to whole pieces.
    case lowRank(DeviceMatrix, DeviceMatrix)

    /// A format without a kernel is multiplied out: it takes the dense matrix' memory and time.
    init(_ weight: Linear.Weight) throws {
        switch weight {
        case .dense(let matrix):
            self = .dense(try DeviceMatrix(matrix))
        case .network(.lowRank(let pair)):
            self = try Self.pair(DeviceMatrix(pair.output)) {
                try DeviceMatrix(pair.input, rows: $0)
            }
        case .network(.pivotedLowRank(let pivoted))
        where Self.isPair(pivoted.format, pivoted.rows, pivoted.columns):
            let pair = try pivoted.lowRank()
            self = try Self.pair(DeviceMatrix(pair.output)) {
                try DeviceMatrix(pair.input, rows: $0)
            }
        case .quantized(let network) where network.format == .dense:
            self = .dense(try DeviceMatrix(network.matrix("weight")))
        case .quantized(let network)
        where Self.isPair(network.format, network.rows, network.columns):
            let pair = try network.lowRank()
            self = try Self.pair(DeviceMatrix(pair.output)) {
                try DeviceMatrix(pair.input, rows: $0)
            }
        case .network, .quantized, .patches:
            self = try Self.multipliedOut(weight)
        }
    }

    private static func pair(
        _ output: DeviceMatrix, input: (Int) throws -> DeviceMatrix
    ) throws -> DeviceWeight {
        .lowRank(try input(output.columns), output)
    }

    static func multipliedOut(_ weight: Linear.Weight) throws -> DeviceWeight {
        .dense(try DeviceMatrix(weight.dense().converted(to: .bfloat16)))
    }

    /// Whether a format is a pair, perhaps with its pivots' rows written out, that is smaller than the dense matrix.
    private static func isPair(_ format: Format, _ rows: Int, _ columns: Int) -> Bool {
        switch format {
        case .lowRank: true
        case .pivotedLowRank(let rank): rank * (rows + columns) < rows * columns
        default: false
        }
    }

    /// The format that is multiplied out, if it is.
    static func formatMultipliedOut(_ weight: Linear.Weight) -> String? {
        switch weight {
        case .dense: return nil
        case .network(let network):
            let isPair = isPair(network.format, network.rows, network.columns)
            return isPair ? nil : network.format.kind.rawValue
        case .quantized(let network):
            let format = network.format
            return format == .dense || isPair(format, network.rows, network.columns)
                ? nil : "\(format.kind.rawValue) in \(network.elementType.rawValue)"
        case .patches: return "patches"
        }
    }

    var elementType: ElementType {
        switch self {
        case .dense(let matrix): matrix.elementType
        case .lowRank(let input, _): input.elementType
        }
    }

    /// Both as pairs or both dense, and of one type.
    func isLike(_ other: DeviceWeight) -> Bool {
        switch (self, other) {
        case (.dense, .dense), (.lowRank, .lowRank): elementType == other.elementType
        case (.dense, .lowRank), (.lowRank, .dense): false
        }
    }
}
