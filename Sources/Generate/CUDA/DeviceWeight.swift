import Models
import TensorNetworks
import Tensors

/// A weight that the GPU's kernels compute with.
enum DeviceWeight {
    case dense(DeviceMatrix)
    /// `[rank, columns]`, then `[rows, rank]`; the rank padded to whole pieces.
    case lowRank(DeviceMatrix, DeviceMatrix)
    /// Networks that are contracted, perhaps with pairs beside them.
    case sum([DeviceTerm])

    /// What is multiplied out takes the dense matrix' memory and time.
    /// - Parameter contracting: networks other than pairs are contracted tensor by tensor, if there are kernels for that.
    init(_ weight: Linear.Weight, contracting: Bool = true) throws {
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
        case .network(let network) where contracting:
            self = try DeviceTerm.terms(of: network).map(Self.sum) ?? Self.multipliedOut(weight)
        case .quantized(let network) where contracting:
            // Their tensors are small: they are kept in bfloat16.
            self =
                try DeviceTerm.terms(of: network.widened(as: .bfloat16)).map(Self.sum)
                ?? Self.multipliedOut(weight)
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
    static func isPair(_ format: Format, _ rows: Int, _ columns: Int) -> Bool {
        switch format {
        case .lowRank: true
        case .pivotedLowRank(let rank): rank * (rows + columns) < rows * columns
        default: false
        }
    }

    /// The format that is multiplied out, if it is.
    static func formatMultipliedOut(_ weight: Linear.Weight, contracting: Bool = true) -> String? {
        func isReady(_ format: Format, _ rows: Int, _ columns: Int) -> Bool {
            contracting
                ? DeviceTerm.knows(format, rows, columns) : isPair(format, rows, columns)
        }
        switch weight {
        case .dense: return nil
        case .network(let network):
            return isReady(network.format, network.rows, network.columns)
                ? nil : network.format.kind.rawValue
        case .quantized(let network):
            let format = network.format
            return format == .dense || isReady(format, network.rows, network.columns)
                ? nil : "\(format.kind.rawValue) in \(network.elementType.rawValue)"
        case .patches: return "patches"
        }
    }

    /// Bytes that multiplying `weight` out takes where it could be contracted; otherwise 0.
    static func bytesMultipliedOut(_ weight: Linear.Weight) -> Int {
        guard formatMultipliedOut(weight) == nil,
            formatMultipliedOut(weight, contracting: false) != nil
        else { return 0 }
        switch weight {
        case .network(let network): return 2 * network.rows * network.columns
        case .quantized(let network): return 2 * network.rows * network.columns
        case .dense, .patches: return 0
        }
    }

    var elementType: ElementType {
        switch self {
        case .dense(let matrix): matrix.elementType
        case .lowRank(let input, _): input.elementType
        case .sum: .bfloat16
        }
    }

    /// Values between the factors of a pair.
    var middleWidth: Int {
        switch self {
        case .dense: 0
        case .lowRank(let input, _): input.rows
        case .sum(let terms): terms.map(\.middleWidth).max() ?? 0
        }
    }

    /// As a sum of one or more terms.
    var terms: [DeviceTerm] {
        if case .sum(let terms) = self { terms } else { [.linear(self)] }
    }

    /// Both as pairs or both dense, and of one type.
    func isLike(_ other: DeviceWeight) -> Bool {
        switch (self, other) {
        case (.dense, .dense), (.lowRank, .lowRank): elementType == other.elementType
        case (.sum, .sum): true
        case (.dense, .lowRank), (.lowRank, .dense), (.sum, _), (_, .sum): false
        }
    }
}
