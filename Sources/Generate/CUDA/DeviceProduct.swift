import CCUDA
import Kernels
import Models
import Tensors

/// Linear layers alone, by the kernels of decode steps: for what one takes, and for what it gives.
package final class DeviceProduct {
    private let kernels: DeviceKernels
    private let stream: CUDAStream
    private let operations: [[any DeviceOperation]]
    private let input: Tensor
    private let output: Tensor
    private let rows: Int
    private let columns: Int
    private let sequences: Int
    private var graph: CUDAGraph?

    package static var mostSequences: Int { DeviceKernels.maxColumns }

    /// - Parameters:
    ///   - weights: of one shape, on a GPU; each gives the same output its product.
    ///   - sequences: rows of x.
    ///   - stateBytes: what activations between a network's tensors may take.
    package init(
        _ weights: [Linear.Weight], rows: Int, columns: Int, sequences: Int,
        stateBytes: Int? = nil
    ) throws {
        guard let first = weights.first, case .cuda(let ordinal) = try Self.device(of: first) else {
            preconditionFailure("weights on a GPU")
        }
        precondition(sequences <= DeviceKernels.maxColumns, "as many as a step has")
        let device = try CUDADevice.open(ordinal)
        let place = Device.cuda(ordinal)
        let most = DeviceKernels.maxColumns
        (self.rows, self.columns, self.sequences) = (rows, columns, sequences)
        kernels = try DeviceKernels(device)
        stream = try CUDAStream(on: device)
        input = try Tensor.zeros([most, (columns + 15) / 16 * 16], .bfloat16, on: place)
        output = try Tensor.zeros([most, rows], .float32, on: place)
        let ready = try weights.map { try DeviceWeight($0) }
        let terms = ready.compactMap { weight -> [DeviceTerm]? in
            if case .sum(let terms) = weight { terms } else { nil }
        }
        let sizes = terms.map {
            DeviceSums.partsWidth([($0, rows)], multiprocessors: device.multiprocessors)
        }
        let layer = { (parts: [DeviceLayer.Part]) in
            try DeviceLayer(parts, epsilon: 0, on: device) {
                try PassTable($0, blocks: device.multiprocessors, on: place)
            }
        }
        let sums = DeviceSums(
            middle: try Tensor.zeros(
                [most, max(8, ready.map(\.middleWidth).max() ?? 0)], .bfloat16, on: place),
            states: try DeviceContraction.States(
                widths: DeviceTerm.stateWidths(terms.joined()),
                limit: stateBytes ?? DeviceContraction.States.limit, on: place),
            parts: try Tensor.zeros([max(1, sizes.max() ?? 1)], .float32, on: place),
            multiprocessors: device.multiprocessors, device: place, layer: layer)
        let (x, y) = (
            DeviceLayer.Activation(tensor: input), DeviceLayer.Activation(tensor: output)
        )
        operations = try ready.map { weight in
            switch weight {
            case .dense(let matrix):
                return [try layer([.init(weight: matrix, input: x, output: y)])]
            case .lowRank(let factor, let matrix):
                let between = DeviceLayer.Activation(tensor: sums.middle)
                return [
                    try layer([.init(weight: factor, input: x, output: between)]),
                    try layer([.init(weight: matrix, input: between, output: y)]),
                ]
            case .sum(let terms):
                return try sums.operations(
                    [.init(terms: terms, rows: rows, output: y)], of: x
                ) { DeviceAssembly($0, epsilon: 0) }
            }
        }
    }

    private static func device(of weight: Linear.Weight) throws -> Device {
        switch weight {
        case .dense(let matrix): matrix.device
        case .network(let network): network.parts[0].tensor.device
        case .quantized(let network): network.parts[0].tensor.device
        case .patches(let matrix): try device(of: matrix.patches[0].weight)
        }
    }

    /// The product of the first weight.
    /// - Parameter x: `[sequences, columns]`.
    /// - Returns: float32 `[sequences, rows]`.
    package func product(_ x: Tensor) throws -> Tensor {
        let rounded = try x.converted(to: .bfloat16)
        let padded = try rounded.padded([input.shape[1] - columns])
        try input.narrowed(0, 0..<sequences).assign(padded)
        try launch(operations[0])
        return try output.narrowed(0, 0..<sequences).copied()
    }

    private func launch(_ operations: [any DeviceOperation]) throws {
        for operation in operations {
            try operation.launch(columns: sequences, kernels, on: stream)
        }
    }

    /// Seconds of one product, of all weights in turn, replayed as a graph.
    /// - Parameter seconds: to spend, about.
    package func time(seconds: Double) throws -> Double {
        func queue() throws { try operations.forEach(launch) }
        // Kernels are compiled and loaded outside of the capture.
        try queue()
        let graph = try graph ?? stream.capture(queue)
        self.graph = graph
        let (start, end) = (
            try CUDAEvent(on: kernels.device), try CUDAEvent(on: kernels.device)
        )
        func run(_ count: Int) throws -> Double {
            try start.record(on: stream)
            for _ in 0..<count { try graph.launch(on: stream) }
            try end.record(on: stream)
            try end.synchronize()
            return try end.milliseconds(since: start) / 1e3 / Double(count)
        }
        _ = try run(2)
        let once = max(try run(2), 1e-7)
        let count = min(1_000, max(2, Int(seconds / 5 / once)))
        // Other work on the machine disturbs single rounds.
        let rounds = try (0..<5).map { _ in try run(count) }.sorted()
        return rounds[2] / Double(operations.count)
    }
}
