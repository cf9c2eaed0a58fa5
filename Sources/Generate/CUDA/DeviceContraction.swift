import CCUDA
import Kernels
import Tensors

/// A network as a chain of launches, from activations to parts of their product.
struct DeviceContraction: DeviceOperation {
    private var steps: [ContractionArguments] = []
    private let states: States
    /// What the arguments point to.
    private var owned: [Tensor] = []

    /// Activations between tensors, which all contractions of a model share.
    final class States {
        /// bfloat16 `[sequences · width]`: what every other tensor leaves, and what those between leave.
        fileprivate let tensors: [Tensor]
        /// Sequences whose activations there is room for.
        fileprivate let sequences: Int
        /// Trains of high rank have tens of millions of values a sequence.
        static let limit = 1 << 30

        /// - Parameters:
        ///   - widths: values of a sequence at most, of both.
        ///   - limit: bytes of both together, unless one sequence takes more.
        init(widths: [Int], limit: Int = States.limit, on device: Device) throws {
            let widths = widths.map { max(8, $0) }
            let sequences = max(
                1, min(DeviceKernels.maxColumns, limit / (2 * widths.reduce(0, +))))
            tensors = try widths.map {
                try Tensor.zeros([sequences * $0], .bfloat16, on: device)
            }
            self.sequences = sequences
        }
    }

    /// - Parameters:
    ///   - input: bfloat16, at multiples of 16 bytes.
    ///   - parts: float32 `[parts, columns, rows]`, gains what is to be summed.
    init(
        _ plan: ContractionPlan, input: DeviceLayer.Activation, parts: Tensor, states: States,
        on device: Device
    ) throws {
        self.states = states
        precondition(
            input.stride % 8 == 0 && input.offset % 8 == 0, "activations at 16 bytes")
        func table(_ places: [Int32]) throws -> Tensor {
            try Tensor(places, shape: [places.count], on: device)
        }
        for (index, step) in plan.steps.enumerated() {
            let isLast = index == plan.steps.count - 1
            let matrix = try step.matrix.to(.bfloat16, device)
            let tables = try [step.inputColumns, step.outputRows, step.outputColumns].map(table)
            let terms = try step.inputTerms.map(table)
            var arguments = ContractionArguments()
            arguments.matrix = matrix.deviceAddress
            arguments.input =
                index == 0 ? input.address : states.tensors[(index - 1) % 2].deviceAddress
            arguments.output = (isLast ? parts : states.tensors[index % 2]).deviceAddress
            arguments.inputColumns = tables[0].deviceAddress
            arguments.inputTerms = terms?.deviceAddress ?? 0
            arguments.outputRows = tables[1].deviceAddress
            arguments.outputColumns = tables[2].deviceAddress
            arguments.inputStride = Int64(index == 0 ? input.stride : step.inputWidth)
            arguments.outputStride = Int64(step.outputWidth)
            arguments.splitStride = Int64(DeviceKernels.maxColumns * step.outputWidth)
            arguments.rows = Int32(step.rows)
            arguments.terms = Int32(step.terms)
            arguments.ldw = Int32(step.matrix.shape[1])
            arguments.columns = Int32(step.columns)
            arguments.inputWidth = Int32(step.inputWidth)
            arguments.outputWidth = Int32(step.outputWidth)
            arguments.splits = isLast ? Int32(parts.shape[0]) : 1
            arguments.isLast = isLast ? 1 : 0
            arguments.isWide = step.isWide ? 1 : 0
            steps.append(arguments)
            owned += [matrix] + tables + (terms.map { [$0] } ?? [])
        }
        owned += [input.tensor, parts]
    }

    func launch(columns: Int, _ kernels: DeviceKernels, on stream: CUDAStream) throws {
        for start in stride(from: 0, to: columns, by: states.sequences) {
            for (index, step) in steps.enumerated() {
                var step = step
                step.sequences = Int32(min(states.sequences, columns - start))
                if index == 0 { step.input += UInt64(2 * start) * UInt64(step.inputStride) }
                if step.isLast != 0 { step.output += UInt64(4 * start) * UInt64(step.outputStride) }
                try kernels.contract(step, on: stream)
            }
        }
    }
}
