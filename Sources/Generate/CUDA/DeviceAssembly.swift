import CCUDA
import Kernels
import Tensors

/// The end of layers whose products come in parts: sums, norm, bias, and what the layer behind reads.
struct DeviceAssembly: DeviceOperation {
    private var arguments = AssemblyArguments()
    /// What the arguments point to.
    private let owned: [Tensor]

    struct Part {
        /// float32 `[parts, columns, rows]`.
        let values: Tensor
        let output: DeviceLayer.Activation
        /// bfloat16 `[rows]`.
        var bias: Tensor?
    }

    /// - Parameters: as of `DeviceLayer`; gate and up stand apart.
    init(
        _ parts: [Part], isPaired: Bool = false,
        normalizing: (DeviceLayer.Residual, slots: Int)? = nil,
        adding: (DeviceLayer.Residual, gain: Tensor)? = nil, epsilon: Double
    ) {
        let raw = parts.map { part in
            AssemblyPart(
                parts: part.values.deviceAddress, y: part.output.address,
                bias: part.bias?.deviceAddress ?? 0,
                stride: Int64(part.values.shape[1] * part.values.shape[2]),
                count: Int32(part.values.shape[0]), rows: Int32(part.values.shape[2]))
        }
        arguments.part.0 = raw[0]
        if raw.count > 1 { arguments.part.1 = raw[1] }
        if raw.count > 2 { arguments.part.2 = raw[2] }
        arguments.count = Int32(raw.count)
        arguments.ldy = Int32(parts[0].output.stride)
        arguments.pairing = isPaired ? PAIRED_APART : UNPAIRED
        arguments.epsilon = Float(epsilon)
        arguments.output = parts[0].output.tensor.elementType == .float32 ? FLOATS : ROUNDED
        var owned = parts.flatMap { [$0.values, $0.output.tensor] + ($0.bias.map { [$0] } ?? []) }
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
        self.owned = owned
    }

    func launch(columns: Int, _ kernels: DeviceKernels, on stream: CUDAStream) throws {
        try kernels.assemble(arguments, columns: columns, on: stream)
    }
}
