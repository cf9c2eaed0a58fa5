import CCUDA
import Kernels
import Tensors

/// A network as a chain of launches, from activations to parts of their product.
struct DeviceContraction: DeviceOperation {
    private var steps: [ContractionArguments] = []
    /// What the arguments point to.
    private var owned: [Tensor] = []

    /// Activations between tensors, which all contractions of a model share.
    final class States {
        /// bfloat16 `[columns · width]` each.
        fileprivate let tensors: [Tensor]

        /// - Parameter width: values of a sequence at most.
        init(width: Int, on device: Device) throws {
            let count = DeviceKernels.maxColumns * max(8, width)
            tensors = try (0..<2).map { _ in
                try Tensor.zeros([count], .bfloat16, on: device)
            }
        }
    }

    /// - Parameters:
    ///   - input: bfloat16, at multiples of 16 bytes.
    ///   - parts: float32 `[parts, columns, rows]`, gains what is to be summed.
    init(
        _ plan: ContractionPlan, input: DeviceLayer.Activation, parts: Tensor, states: States,
        on device: Device
    ) throws {
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
        owned += states.tensors + [input.tensor, parts]
    }

    func launch(columns: Int, _ kernels: DeviceKernels, on stream: CUDAStream) throws {
        for var step in steps {
            step.sequences = Int32(columns)
            try kernels.contract(step, on: stream)
        }
    }
}
