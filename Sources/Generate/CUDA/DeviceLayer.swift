import CCUDA
import Kernels
import Tensors

/// A linear layer, or several that read the same, ready to be launched for any number of columns.
struct DeviceLayer {
    private var arguments = LinearArguments()
    /// Of each part's input, for each of `KernelVariant.columns`; empty where no copy engine reads them.
    private let maps: [[TensorMap]]
    /// By the tiles of a pass.
    private let tables: [Int: PassTable]
    private let weights: ElementType
    /// For many columns; `nil` where there is none.
    private let gemm: DeviceGemm?
    /// Held: a padded matrix is nobody else's.
    private let matrices: [DeviceMatrix]
    /// What the arguments point to.
    private let owned: [Tensor]

    /// A weight, what it is multiplied with and where the product goes.
    struct Part {
        let weight: DeviceMatrix
        /// bfloat16 `[columns, stride]`, the first of the weight's columns.
        let input: Activation
        let output: Activation
        /// bfloat16 `[rows]`.
        var bias: Tensor?
    }

    /// A place in rows of activations.
    struct Activation {
        let tensor: Tensor
        var offset = 0

        var stride: Int { tensor.shape[1] }
        var address: UInt64 {
            tensor.deviceAddress + UInt64(offset * tensor.elementType.byteCount)
        }
    }

    enum Pairing: Int32 {
        case none = 0
        /// Gate and up of one input; of an input each.
        case shared, apart
    }

    /// The residual stream, and what prepares it for the norm behind.
    struct Residual {
        /// float32 `[columns, width]`.
        let stream: Tensor
        /// bfloat16, residual · gain.
        let normalized: Tensor
        /// float64 `[columns, SLOTS]`.
        let squares: Tensor
    }

    /// - Parameters:
    ///   - normalizing: the input is `residual.normalized`, of that many partial sums of squares.
    ///   - adding: the product is added to the residual stream, which the norm with this gain reads next.
    /// - Precondition: weights of one type.
    init(
        _ parts: [Part], pairing: Pairing = .none, normalizing: (Residual, slots: Int)? = nil,
        adding: (Residual, gain: Tensor)? = nil, epsilon: Double,
        on device: CUDADevice, passes: (RowPasses) throws -> PassTable
    ) throws {
        let type = parts[0].weight.elementType
        precondition(parts.allSatisfy { $0.weight.elementType == type }, "weights of one type")
        (weights, matrices) = (type, parts.map(\.weight))
        maps = device.computeCapability.major < 9 ? [] : try Self.maps(of: parts, on: device)
        var tables: [Int: PassTable] = [:]
        for tiles in Set(KernelVariant.columns.map { KernelVariant.tiles(columns: $0, type) }) {
            tables[tiles] = try passes(
                RowPasses(
                    parts: parts.map { .init(rows: $0.weight.rows, columns: $0.weight.columns) },
                    isPaired: pairing != .none, isApart: pairing == .apart, tiles: tiles))
        }
        self.tables = tables
        let raw = parts.map {
            LinearPart(
                w: $0.weight.address, x: $0.input.address, y: $0.output.address,
                bias: $0.bias?.deviceAddress ?? 0, scales: $0.weight.scaleAddress,
                n: Int32($0.weight.columns),
                ldw: Int32($0.weight.columns), ldx: Int32($0.input.stride), unused: 0)
        }
        arguments.part.0 = raw[0]
        if raw.count > 1 { arguments.part.1 = raw[1] }
        if raw.count > 2 { arguments.part.2 = raw[2] }
        arguments.pairing = pairing.rawValue
        arguments.ldy = Int32(parts[0].output.stride)
        arguments.epsilon = Float(epsilon)
        arguments.output =
            parts[0].output.tensor.elementType == .float32 ? FLOATS : ROUNDED
        var owned = parts.compactMap(\.bias)
        if let (residual, slots) = normalizing {
            arguments.sums = residual.squares.deviceAddress
            arguments.slots = Int32(slots)
            arguments.inverseWidth = 1 / Float(residual.stream.shape[1])
            owned.append(residual.squares)
        }
        if let (residual, gain) = adding {
            arguments.output = ADDED
            arguments.residual = residual.stream.deviceAddress
            arguments.normalized = residual.normalized.deviceAddress
            arguments.squares = residual.squares.deviceAddress
            arguments.gain = gain.deviceAddress
            owned += [residual.stream, residual.normalized, residual.squares, gain]
        }
        gemm =
            type == .bfloat16 && DeviceGemm.isSupported(on: device)
            ? DeviceGemm(parts, pairing: pairing, like: arguments, on: device) : nil
        self.owned = owned + parts.flatMap { [$0.input.tensor, $0.output.tensor] }
    }

    private static func maps(of parts: [Part], on device: CUDADevice) throws -> [[TensorMap]] {
        try KernelVariant.columns.map { columns in
            try parts.map { part in
                try TensorMap(
                    address: part.input.address, rows: part.input.tensor.shape[0],
                    columns: part.weight.terms, stride: 2 * part.input.stride, boxRows: columns,
                    on: device)
            }
        }
    }

    /// Columns that a launch can have, of weights of `type`.
    static func mostColumns(_ type: ElementType, on device: CUDADevice) -> Int {
        type == .bfloat16 && DeviceGemm.isSupported(on: device)
            ? GemmPlan.mostColumns
            : KernelVariant.mostColumns(weights: type, available: device.sharedMemoryPerBlock)
    }

    func launch(columns: Int, _ kernels: DeviceKernels, on stream: CUDAStream) throws {
        if let gemm, gemm.isPreferred(columns: columns) {
            return try gemm.launch(columns: columns, kernels, on: stream)
        }
        var arguments = arguments
        arguments.columns = Int32(columns)
        let variant = KernelVariant.columnsCompiled(for: columns)
        guard let table = tables[KernelVariant.tiles(columns: variant, weights)] else {
            preconditionFailure("a table for every kernel")
        }
        arguments.passes = table.tensor.deviceAddress
        arguments.passesEach = Int32(table.each)
        if let index = KernelVariant.columns.firstIndex(of: variant), index < maps.count {
            let maps = maps[index]
            arguments.maps.0 = maps[0].map.words
            if maps.count > 1 { arguments.maps.1 = maps[1].map.words }
            if maps.count > 2 { arguments.maps.2 = maps[2].map.words }
        }
        try kernels.multiply(arguments, weights: weights, on: stream)
    }
}

/// The passes of all thread blocks, on the GPU.
struct PassTable {
    /// int32 `[blocks, each, 4]`.
    let tensor: Tensor
    let each: Int

    init(_ passes: RowPasses, blocks: Int, on device: Device) throws {
        let dealt = passes.dealt(to: blocks)
        let each = dealt.map(\.count).max() ?? 0
        guard (1...Int(PASSES)).contains(each) else {
            throw DeviceModelError.tooManyPasses(each, limit: Int(PASSES))
        }
        self.each = each
        let values = dealt.flatMap { block -> [Int32] in
            block.flatMap { [Int32($0.part), Int32($0.row), Int32($0.rows), 0] }
                + Array(repeating: 0, count: 4 * (each - block.count))
        }
        tensor = try Tensor(values, shape: [blocks, each, 4], on: device)
    }
}
