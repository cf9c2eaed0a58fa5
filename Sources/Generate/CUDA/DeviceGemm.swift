import CCUDA
import Kernels
import Tensors

/// A linear layer, or several that read the same, for more columns than `linear.cu` is quick with; each column gets the bits
/// that it has there.
final class DeviceGemm {
    private let parts: [DeviceLayer.Part]
    private let pairing: DeviceLayer.Pairing
    /// What does not depend on the number of columns.
    private let common: GemmArguments
    private let device: CUDADevice
    private var launches: [Int: Launch] = [:]

    /// A launch for some number of columns, and what its arguments point to.
    private struct Launch {
        let arguments: GemmArguments
        let variant: KernelVariant
        /// What its sums meet in.
        let partial: Tensor
    }

    /// - Parameter arguments: of the same layer.
    init(
        _ parts: [DeviceLayer.Part], pairing: DeviceLayer.Pairing, like arguments: LinearArguments,
        on device: CUDADevice
    ) {
        (self.parts, self.pairing, self.device) = (parts, pairing, device)
        var common = GemmArguments()
        common.part = arguments.part
        common.sums = arguments.sums
        common.residual = arguments.residual
        common.normalized = arguments.normalized
        common.gain = arguments.gain
        common.squares = arguments.squares
        common.inverseWidth = arguments.inverseWidth
        common.epsilon = arguments.epsilon
        common.slots = arguments.slots
        common.ldy = arguments.ldy
        common.output = arguments.output
        common.slotsWritten = Int32(device.multiprocessors)
        let rows = parts.map { Int32($0.weight.rows) }
        common.rows.0 = rows[0]
        if rows.count > 1 { common.rows.1 = rows[1] }
        if rows.count > 2 { common.rows.2 = rows[2] }
        self.common = common
    }

    /// Whether `device` has what the kernel is made of.
    static func isSupported(on device: CUDADevice) -> Bool {
        device.computeCapability == (9, 0)
            && device.sharedMemoryPerBlock >= KernelVariant.gemmMemory
    }

    /// Whether it is quicker than `linear.cu`, measured on an H200 (LOG.md).
    func isPreferred(columns: Int) -> Bool {
        guard columns > 16 else { return false }
        let isShort = parts.count == 1 && parts[0].weight.rows <= 6_336
        return columns > 32 || !isShort || parts[0].weight.columns < 4_096
    }

    func launch(columns: Int, _ kernels: DeviceKernels, on stream: CUDAStream) throws {
        // As many columns of the input are copied as are multiples of eight.
        let most = (columns + 7) / 8 * 8
        let prepared = try launches[most] ?? prepare(most, kernels.gemmPlans)
        launches[most] = prepared
        var arguments = prepared.arguments
        arguments.columns = Int32(columns)
        try kernels.multiply(arguments, prepared.variant, on: stream)
    }

    private func prepare(_ columns: Int, _ plans: DeviceGemmPlans) throws -> Launch {
        let ready = try plans.plan(
            .init(
                parts: parts.map { .init(rows: $0.weight.rows, columns: $0.weight.columns) },
                pairing: pairing, columns: columns,
                mostTiles: common.output == ADDED ? device.multiprocessors : nil))
        let plan = ready.plan
        let partial = try plans.partial(plan.partialCount(pairing))
        var arguments = common
        try setMaps(plan, in: &arguments)
        arguments.units = ready.units.deviceAddress
        arguments.unitsEach = Int32(ready.units.shape[1])
        arguments.partial = partial.deviceAddress
        arguments.counters = ready.counters.deviceAddress
        arguments.tiles = Int32(plan.tiles)
        arguments.columnsEach = Int32(plan.columnsEach)
        return Launch(
            arguments: arguments, variant: .gemm(plan, pairing: pairing), partial: partial)
    }

    private func setMaps(_ plan: GemmPlan, in arguments: inout GemmArguments) throws {
        for (index, part) in parts.enumerated() {
            let weights = try TensorMap(
                address: part.weight.address, rows: part.weight.rows, columns: part.weight.columns,
                stride: 2 * part.weight.columns, boxRows: plan.box(pairing), on: device
            ).map.words
            let inputs = try TensorMap(
                address: part.input.address, rows: part.input.tensor.shape[0],
                columns: part.weight.terms, stride: 2 * part.input.stride,
                boxRows: plan.columnsEach, on: device
            ).map.words
            switch index {
            case 0: (arguments.weights.0, arguments.inputs.0) = (weights, inputs)
            case 1: (arguments.weights.1, arguments.inputs.1) = (weights, inputs)
            default: (arguments.weights.2, arguments.inputs.2) = (weights, inputs)
            }
        }
    }
}
