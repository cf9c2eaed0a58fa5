import Artifacts
import Kernels
import Models
import Tensors

extension DeviceModel {
    /// Puts the layers of blocks together.
    final class Builder {
        private let model: CausalLanguageModel
        private let it: DeviceActivations
        private let device: CUDADevice
        private var multiprocessors: Int { device.multiprocessors }
        /// Layers of one shape share one.
        private var tables: [RowPasses: PassTable] = [:]

        /// Where sums meet; `nil` where the model has none.
        private let sumMemory: (states: DeviceContraction.States, parts: Tensor)?

        init(
            model: CausalLanguageModel, activations: DeviceActivations,
            _ weights: [[Projection: DeviceWeight]], device: CUDADevice
        ) throws {
            (self.model, it, self.device) = (model, activations, device)
            sumMemory = try Self.sumMemory(model, weights, device)
        }

        /// A weight of a group that reads the same input, and where its product goes.
        private struct Target {
            let weight: DeviceWeight
            let rows: Int
            let output: DeviceLayer.Activation
            var bias: Tensor?
        }

        private var epsilon: Double { model.configuration.normEpsilon }

        private func table(_ passes: RowPasses) throws -> PassTable {
            if let known = tables[passes] { return known }
            let made = try PassTable(passes, blocks: multiprocessors, on: model.device)
            tables[passes] = made
            return made
        }

        private func layer(
            _ parts: [DeviceLayer.Part], pairing: DeviceLayer.Pairing = .none,
            slots: Int? = nil, gain: Tensor? = nil
        ) throws -> DeviceLayer {
            try DeviceLayer(
                parts, pairing: pairing, normalizing: slots.map { (it.residual, $0) },
                adding: gain.map { (it.residual, $0) }, epsilon: epsilon, on: device, passes: table)
        }

        private static func sumMemory(
            _ model: CausalLanguageModel, _ weights: [[Projection: DeviceWeight]],
            _ device: CUDADevice
        ) throws -> (states: DeviceContraction.States, parts: Tensor)? {
            let groups: [[Projection]] = [
                [.query, .key, .value], [.output], [.gate, .up], [.down],
            ]
            var (terms, parts) = ([DeviceTerm](), 0)
            for layer in weights {
                for group in groups {
                    let sums = group.compactMap { projection -> (terms: [DeviceTerm], rows: Int)? in
                        guard case .sum(let terms) = layer[projection] else { return nil }
                        let module = model.configuration.module(projection, ofLayer: 0)
                        return (terms, module.rows)
                    }
                    terms += sums.flatMap(\.terms)
                    parts = max(
                        parts,
                        DeviceSums.partsWidth(sums, multiprocessors: device.multiprocessors))
                }
            }
            guard parts > 0 else { return nil }
            return (
                try DeviceContraction.States(
                    widths: DeviceTerm.stateWidths(terms), on: model.device),
                try Tensor.zeros([parts], .float32, on: model.device)
            )
        }

        private var sums: DeviceSums {
            guard let sumMemory else { preconditionFailure("the model has no sums") }
            return DeviceSums(
                middle: it.middle, states: sumMemory.states, parts: sumMemory.parts,
                multiprocessors: multiprocessors, device: model.device
            ) { try self.layer($0) }
        }

        private func assembly(
            _ parts: [DeviceAssembly.Part], isPaired: Bool = false, slots: Int?, gain: Tensor? = nil
        ) -> DeviceAssembly {
            DeviceAssembly(
                parts, isPaired: isPaired, normalizing: slots.map { (it.residual, $0) },
                adding: gain.map { (it.residual, $0) }, epsilon: epsilon)
        }

        /// The products of `targets` with `input`: dense ones in one launch, first factors of pairs with them, second
        /// factors in another, of each type of weights.
        private func products(
            _ targets: [Target], of input: DeviceLayer.Activation, slots: Int? = nil,
            gain: Tensor? = nil
        ) throws -> [any DeviceOperation] {
            var sums: [DeviceSums.Target] = []
            var (direct, first, second, offset) = (
                [DeviceLayer.Part](), [DeviceLayer.Part](), [DeviceLayer.Part](), 0
            )
            for target in targets {
                switch target.weight {
                case .dense(let matrix):
                    direct.append(
                        .init(
                            weight: matrix, input: input, output: target.output, bias: target.bias))
                case .lowRank(let factor, let output):
                    let middle = DeviceLayer.Activation(tensor: it.middle, offset: offset)
                    offset += factor.rows
                    first.append(.init(weight: factor, input: input, output: middle))
                    second.append(
                        .init(
                            weight: output, input: middle, output: target.output,
                            bias: target.bias))
                case .sum(let terms):
                    sums.append(
                        .init(
                            terms: terms, rows: target.rows, output: target.output,
                            bias: target.bias))
                }
            }
            var layers: [any DeviceOperation] = try self.layers(direct, slots: slots, gain: gain)
            layers += try self.layers(first, slots: slots)
            layers += try self.layers(second, gain: gain)
            if !sums.isEmpty {
                layers += try self.sums.operations(sums, of: input) {
                    assembly($0, slots: slots, gain: gain)
                }
            }
            return layers
        }

        /// A launch for each type of weights.
        private func layers(
            _ parts: [DeviceLayer.Part], slots: Int? = nil, gain: Tensor? = nil
        ) throws -> [DeviceLayer] {
            try [ElementType.bfloat16, .int8, .float8e4m3].compactMap { type in
                let some = parts.filter { $0.weight.elementType == type }
                return some.isEmpty ? nil : try layer(some, slots: slots, gain: gain)
            }
        }

        /// From the residual stream to queries, keys and values.
        func heads(
            of block: DecoderBlock, _ weights: [Projection: DeviceWeight], slots: Int
        ) throws -> [any DeviceOperation] {
            let configuration = model.configuration
            var (targets, offset) = ([Target](), 0)
            for projection in [Projection.query, .key, .value] {
                guard let weight = weights[projection] else { continue }
                let rows =
                    projection == .query ? configuration.queryWidth : configuration.keyValueWidth
                targets.append(
                    Target(
                        weight: weight, rows: rows,
                        output: .init(tensor: it.heads, offset: offset),
                        bias: try block[projection].bias?.converted(to: .bfloat16)))
                offset += rows
            }
            return try products(
                targets, of: .init(tensor: it.residual.normalized), slots: slots)
        }

        /// From what was attended to the block's output.
        /// - Parameter behind: gain of the norm that reads the output.
        func rest(
            of block: DecoderBlock, _ weights: [Projection: DeviceWeight], behind: Tensor
        ) throws -> [any DeviceOperation] {
            try added(.output, of: it.attended, block, weights, gain: block.feedForwardNorm)
                + gated(weights)
                + added(.down, of: it.gated, block, weights, gain: behind)
        }

        /// The residual stream plus a product.
        private func added(
            _ projection: Projection, of input: Tensor, _ block: DecoderBlock,
            _ weights: [Projection: DeviceWeight], gain: Tensor
        ) throws -> [any DeviceOperation] {
            guard let weight = weights[projection] else { return [] }
            let target = Target(
                weight: weight, rows: model.configuration.hiddenSize,
                output: .init(tensor: it.residual.normalized),
                bias: try block[projection].bias?.converted(to: .bfloat16))
            return try products([target], of: .init(tensor: input), gain: gain)
        }

        /// silu(gate) · up.
        private func gated(
            _ weights: [Projection: DeviceWeight]
        ) throws -> [any DeviceOperation] {
            guard let gate = weights[.gate], let up = weights[.up] else { return [] }
            let input = DeviceLayer.Activation(tensor: it.residual.normalized)
            let output = DeviceLayer.Activation(tensor: it.gated)
            let slots = multiprocessors
            if case .dense(let gate) = gate, case .dense(let up) = up {
                return [
                    try layer(
                        [
                            .init(weight: gate, input: input, output: output),
                            .init(weight: up, input: input, output: output),
                        ], pairing: .shared, slots: slots)
                ]
            }
            if case .sum(let gate) = gate, case .sum(let up) = up {
                let rows = model.configuration.intermediateSize
                return try sums.operations(
                    [gate, up].map { .init(terms: $0, rows: rows, output: output) }, of: input
                ) { assembly($0, isPaired: true, slots: slots) }
            }
            var (first, second, offset) = ([DeviceLayer.Part](), [DeviceLayer.Part](), 0)
            for weight in [gate, up] {
                guard case .lowRank(let factor, let matrix) = weight else {
                    preconditionFailure("gate and up are both pairs, both dense or both sums")
                }
                let middle = DeviceLayer.Activation(tensor: it.middle, offset: offset)
                offset += factor.rows
                first.append(.init(weight: factor, input: input, output: middle))
                second.append(.init(weight: matrix, input: middle, output: output))
            }
            return [try layer(first, slots: slots), try layer(second, pairing: .apart)]
        }

        func head() throws -> DeviceLayer {
            try layer(
                [
                    .init(
                        weight: DeviceMatrix(model.ends.head),
                        input: .init(tensor: it.residual.normalized),
                        output: .init(tensor: it.logits))
                ], slots: multiprocessors)
        }
    }
}
