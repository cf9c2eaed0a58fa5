import CDecode
import Models
import TensorNetworks
import Tensors

/// y (+)= x · Wᵀ for a few rows of x, W dense or a network, in as few products as it has parts.
indirect enum HostLinear {
    case dense(HostMatrix)
    /// input, then output.
    case lowRank(HostMatrix, HostMatrix)
    /// The kept rows, and the others in terms of them; where each goes.
    case pivoted(HostMatrix, HostMatrix, kept: [Int32], others: [Int32])
    /// A train of two cores.
    case train(HostTrain)
    case sum([HostLinear])
    case patches([Patch], rows: Int)
    /// A format without a routine of its own: libtorch contracts it.
    case contracted(Linear.Weight)

    struct Patch {
        let row: Int
        let column: Int
        let weight: HostLinear
    }

    /// - Parameter type: what quantised formats without a routine for one byte a value are widened to.
    init(_ weight: Linear.Weight, widening type: ElementType) throws {
        switch weight {
        case .dense(let matrix):
            self = .dense(try HostMatrix(matrix, rows: matrix.shape[0]))
        case .network(let network):
            self = try Self.network(network) ?? .contracted(weight)
        case .quantized(let network):
            self = try Self.quantized(network, type)
        case .patches(let matrix):
            self = .patches(
                try matrix.patches.map {
                    Patch(
                        row: $0.region.rows.lowerBound, column: $0.region.columns.lowerBound,
                        weight: try HostLinear($0.weight, widening: type))
                }, rows: matrix.rows)
        }
    }

    /// Matrices and pairs are read as they are.
    private static func quantized(
        _ network: QuantizedNetwork, _ type: ElementType
    ) throws -> HostLinear {
        switch network.format {
        case .dense:
            return .dense(try HostMatrix(network.matrix("weight")))
        case .lowRank:
            return .lowRank(
                try HostMatrix(network.matrix("input")), try HostMatrix(network.matrix("output")))
        case .pivotedLowRank:
            let kept = try network.rowNumbers("pivots").elements(as: Int32.self)
            return .pivoted(
                try HostMatrix(network.matrix("basis")),
                try HostMatrix(network.matrix("coefficients")), kept: kept,
                others: others(than: kept, rows: network.rows))
        case .tucker, .tensorTrain, .tensorRing, .blockTerm, .pivoted, .mixture:
            return try HostLinear(
                Linear.Weight(widening: network, to: type), widening: type)
        }
    }

    private static func others(than kept: [Int32], rows: Int) -> [Int32] {
        let isKept = Set(kept)
        return (0..<Int32(rows)).filter { !isKept.contains($0) }
    }

    private static func network(_ network: Factorization) throws -> HostLinear? {
        switch network {
        case .lowRank(let pair):
            return .lowRank(
                try HostMatrix(pair.input, rows: pair.rank),
                try HostMatrix(pair.output, rows: pair.rows))
        case .pivotedLowRank(let pair):
            let kept = try pair.pivots.elements(as: Int32.self)
            return .pivoted(
                try HostMatrix(pair.basis, rows: pair.rank),
                try HostMatrix(pair.coefficients, rows: pair.rows - pair.rank), kept: kept,
                others: others(than: kept, rows: pair.rows))
        case .tensorTrain(let train):
            return try HostTrain(train).map(HostLinear.train)
        case .pivoted(let pivoted):
            return try self.network(pivoted.expanded())
        case .mixture(let mixture):
            return .sum(
                try mixture.terms.map { try self.network($0) ?? .contracted(.network($0)) })
        case .tucker, .tensorRing, .blockTerm:
            return nil
        }
    }

    /// Formats that have no routine of their own.
    var contractedByLibtorch: Set<String> {
        switch self {
        case .dense, .lowRank, .pivoted, .train: []
        case .sum(let terms): Set(terms.flatMap(\.contractedByLibtorch))
        case .patches(let patches, _): Set(patches.flatMap(\.weight.contractedByLibtorch))
        case .contracted(.network(let network)): ["\(network.format)"]
        case .contracted: []
        }
    }

    /// Rows of x `[batch, …]` and y, each `stride` values behind the one before.
    struct Rows<Pointer> {
        let values: Pointer
        let stride: Int
    }

    typealias Input = Rows<UnsafePointer<Float>>
    typealias Output = Rows<UnsafeMutablePointer<Float>>

    /// - Parameter adds: to what is in y.
    func apply(
        _ x: Input, _ y: Output, batch: Int, adds: Bool, _ pool: WorkerPool, _ scratch: Scratch
    ) throws {
        func product(
            _ matrix: HostMatrix, _ x: Input, _ y: Output, at places: [Int32]? = nil, adds: Bool
        ) {
            func run(_ places: UnsafePointer<Int32>?) {
                cd_linear(
                    pool.raw, matrix.raw, x.values, Int64(x.stride), y.values, Int64(y.stride),
                    places, Int64(batch), adds)
            }
            if let places {
                places.withUnsafeBufferPointer { run($0.baseAddress) }
            } else {
                run(nil)
            }
        }
        switch self {
        case .dense(let matrix):
            product(matrix, x, y, adds: adds)
        case .lowRank(let input, let output):
            let middle = scratch.reserve(batch * input.rows)
            product(input, x, Output(values: middle, stride: input.rows), adds: false)
            product(output, Input(values: middle, stride: input.rows), y, adds: adds)
        case .pivoted(let basis, let coefficients, let kept, let others):
            let middle = scratch.reserve(batch * basis.rows)
            product(basis, x, Output(values: middle, stride: basis.rows), adds: false)
            for row in 0..<batch {
                let (from, to) = (middle + row * basis.rows, y.values + row * y.stride)
                for (index, place) in kept.enumerated() {
                    to[Int(place)] = (adds ? to[Int(place)] : 0) + from[index]
                }
            }
            product(
                coefficients, Input(values: middle, stride: basis.rows), y, at: others, adds: adds)
        case .train(let train):
            train.apply(x, y, batch: batch, adds: adds, pool, scratch)
        case .sum(let terms):
            for (index, term) in terms.enumerated() {
                try term.apply(x, y, batch: batch, adds: adds || index > 0, pool, scratch)
            }
        case .patches(let patches, let rows):
            if !adds {
                for row in 0..<batch {
                    (y.values + row * y.stride).update(repeating: 0, count: rows)
                }
            }
            for patch in patches {
                try patch.weight.apply(
                    Input(values: x.values + patch.column, stride: x.stride),
                    Output(values: y.values + patch.row, stride: y.stride), batch: batch,
                    adds: true, pool, scratch)
            }
        case .contracted(let weight):
            try contract(weight, x, y, batch: batch, adds: adds)
        }
    }

    private func contract(
        _ weight: Linear.Weight, _ x: Input, _ y: Output, batch: Int, adds: Bool
    ) throws {
        guard case .network(let network) = weight else { return }
        var rows: [Float] = []
        for row in 0..<batch {
            rows += UnsafeBufferPointer(start: x.values + row * x.stride, count: network.columns)
        }
        let type = network.parts.first { $0.tensor.elementType.isFloatingPoint }?.tensor.elementType
        let input = try Tensor(rows, shape: [batch, network.columns])
            .converted(to: type ?? .float32)
        let output = try weight.product(input).elements(as: Float.self)
        for row in 0..<batch {
            let to = y.values + row * y.stride
            for place in 0..<network.rows {
                to[place] = (adds ? to[place] : 0) + output[row * network.rows + place]
            }
        }
    }
}

extension Linear.Weight {
    fileprivate func product(_ x: Tensor) throws -> Tensor { try Linear(self).product(x) }
}
