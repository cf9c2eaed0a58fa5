import Kernels
import Tensors

/// Layers whose weights are sums of networks: what each term gives goes into memory as it is, and one launch sums it.
struct DeviceSums {
    /// bfloat16 `[columns, …]`, between the factors of pairs.
    let middle: Tensor
    let states: DeviceContraction.States
    /// float32, of a group of layers that end together.
    let parts: Tensor
    let multiprocessors: Int
    let device: Device
    /// A launch of matrices that read the same.
    let layer: ([DeviceLayer.Part]) throws -> DeviceLayer

    /// A weight and where its product goes.
    struct Target {
        let terms: [DeviceTerm]
        let rows: Int
        let output: DeviceLayer.Activation
        var bias: Tensor?
    }

    /// float32 values that layers which end together have in parts.
    static func partsWidth(
        _ weights: [(terms: [DeviceTerm], rows: Int)], multiprocessors: Int
    ) -> Int {
        weights.reduce(0) { sum, weight in
            let count = weight.terms.reduce(0) { $0 + $1.parts(multiprocessors: multiprocessors) }
            return sum + count * DeviceKernels.maxColumns * weight.rows
        }
    }

    /// - Parameter assembly: what becomes of the sums.
    func operations(
        _ targets: [Target], of input: DeviceLayer.Activation,
        _ assembly: ([DeviceAssembly.Part]) -> DeviceAssembly
    ) throws -> [any DeviceOperation] {
        var (operations, ends, offset) = ([any DeviceOperation](), [DeviceAssembly.Part](), 0)
        func reserve(_ count: Int, _ rows: Int, at offset: Int) throws -> Tensor {
            let columns = DeviceKernels.maxColumns
            return try parts.narrowed(0, offset..<offset + count * columns * rows)
                .reshaped([count, columns, rows])
        }
        for target in targets {
            let each = DeviceKernels.maxColumns * target.rows
            let counts = target.terms.map { $0.parts(multiprocessors: multiprocessors) }
            var place = offset
            for (term, count) in zip(target.terms, counts) {
                let values = try reserve(count, target.rows, at: place)
                operations += try self.operations(term, of: input, into: values)
                place += count * each
            }
            ends.append(
                .init(
                    values: try reserve(counts.reduce(0, +), target.rows, at: offset),
                    output: target.output, bias: target.bias))
            offset = place
        }
        return operations + [assembly(ends)]
    }

    /// - Parameter values: float32 `[parts, columns, rows]`.
    private func operations(
        _ term: DeviceTerm, of input: DeviceLayer.Activation, into values: Tensor
    ) throws -> [any DeviceOperation] {
        switch term {
        case .chain(let plan):
            return [
                try DeviceContraction(
                    plan, input: input, parts: values, states: states, on: device)
            ]
        case .linear(.dense(let matrix)):
            return [try layer([.init(weight: matrix, input: input, output: rows(values))])]
        case .linear(.lowRank(let factor, let matrix)):
            let between = DeviceLayer.Activation(tensor: middle)
            return [
                try layer([.init(weight: factor, input: input, output: between)]),
                try layer([.init(weight: matrix, input: between, output: rows(values))]),
            ]
        case .linear(.sum(let terms)):
            preconditionFailure("\(terms.count) terms of a sum within a term")
        }
    }

    private func rows(_ values: Tensor) throws -> DeviceLayer.Activation {
        DeviceLayer.Activation(tensor: try values.selected(0, 0))
    }
}
