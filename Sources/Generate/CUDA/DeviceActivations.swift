import Artifacts
import CCUDA
import Kernels
import Tensors

/// The memory of a decode step on a GPU, for as many sequences as a step can have.
final class DeviceActivations {
    let residual: DeviceLayer.Residual
    /// bfloat16 `[columns, …]`: queries, keys and values; what attention returns; silu(gate) · up; between factors.
    let heads: Tensor
    let attended: Tensor
    let gated: Tensor
    let middle: Tensor
    /// float32 `[columns, vocabulary]`.
    let logits: Tensor
    let parameters: Parameters

    /// - Parameter ranks: values between factors that a column has at most.
    init(_ configuration: ModelConfiguration, ranks: Int, on device: Device) throws {
        let columns = DeviceKernels.maxColumns
        func rows(_ width: Int, _ type: ElementType = .bfloat16) throws -> Tensor {
            try Tensor.zeros([columns, width], type, on: device)
        }
        residual = DeviceLayer.Residual(
            stream: try rows(configuration.hiddenSize, .float32),
            normalized: try rows(configuration.hiddenSize),
            squares: try rows(Int(SLOTS), .float64))
        heads = try rows(configuration.queryWidth + 2 * configuration.keyValueWidth)
        attended = try rows(configuration.queryWidth)
        gated = try rows(configuration.intermediateSize)
        middle = try rows(max(8, ranks))
        logits = try rows(configuration.vocabularySize, .float32)
        parameters = try Parameters(
            headDim: configuration.headDim,
            blocksEach: configuration.maxPositions / Executor.blockTokens + 1,
            on: device)
    }

    /// What the host says about a step, in one piece of memory: tokens, positions, angles, blocks.
    struct Parameters {
        let blocksEach: Int
        private let half: Int
        private let tensor: Tensor
        private static let columns = DeviceKernels.maxColumns

        init(headDim: Int, blocksEach: Int, on device: Device) throws {
            half = headDim / 2
            self.blocksEach = blocksEach
            tensor = try Tensor.zeros(
                [Self.columns * (2 + headDim + blocksEach)], .int32, on: device)
        }

        var tokens: UInt64 { tensor.deviceAddress }
        var positions: UInt64 { place(1) }
        var cosines: UInt64 { place(2) }
        var sines: UInt64 { place(2 + half) }
        var tables: UInt64 { place(2 + 2 * half) }

        /// Behind so many 4-byte values of every column.
        private func place(_ values: Int) -> UInt64 {
            tensor.deviceAddress + UInt64(4 * Self.columns * values)
        }

        /// A sequence's part of a step.
        struct Column {
            let token: Int32
            let position: Int32
            let cosines: ArraySlice<Float>
            let sines: ArraySlice<Float>
            let blocks: [Int]
        }

        /// Queues the copy of what a step is about.
        func set(_ columns: [Column], on stream: CUDAStream) throws {
            // Tables come last: no more of them is copied than there is.
            let count = Self.columns * (2 + 2 * half) + columns.count * blocksEach
            var values = [UInt32](repeating: 0, count: count)
            for (index, column) in columns.enumerated() {
                values[index] = UInt32(bitPattern: column.token)
                values[Self.columns + index] = UInt32(bitPattern: column.position)
                let angles = Self.columns * 2 + index * half
                for (offset, value) in column.cosines.enumerated() {
                    values[angles + offset] = value.bitPattern
                }
                for (offset, value) in column.sines.enumerated() {
                    values[angles + Self.columns * half + offset] = value.bitPattern
                }
                let table = Self.columns * (2 + 2 * half) + index * blocksEach
                for (offset, block) in column.blocks.enumerated() {
                    values[table + offset] = UInt32(block)
                }
            }
            try values.withUnsafeBytes { try stream.copy($0, to: tensor.deviceAddress) }
        }
    }
}
