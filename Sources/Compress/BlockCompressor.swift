// One block of the model, fitted in the order in which its layers act: {query, key, value}, output,
// {gate, up}, down. Each group sees what the layers before it, already compressed, hand to it, and is
// fitted to what the dense model does there (DESIGN.md 6), so that it makes good what they lost. A layer
// that writes to the residual stream is also asked for what the stream has lost so far.
import Artifacts
import Calibration
import Foundation
import Models
import TensorNetworks
import Tensors

struct BlockCompressor {
    let checkpoint: Checkpoint
    let configuration: ModelConfiguration
    let plan: CompressionPlan
    let fit: FitSettings
    /// For two-sided fits.
    let outputMoments: MomentCache?
    let device: Device

    /// A matrix and how well it was fitted.
    struct Fitted {
        let matrix: CompressedMatrix
        let network: Factorization
        let record: CompressionReport.Matrix
    }

    /// Fits every matrix of block `layer` that the plan does not leave dense.
    /// - Parameters:
    ///   - streams: hidden states of the dense and of the compressed model; `nil` fits the weights alone.
    ///   - step: called after every window of each pass, and after every matrix.
    func compress(
        _ layer: Int, _ streams: BlockStreams?, step: (String) throws -> Void
    ) throws -> [Fitted] {
        var fitted: [Fitted] = []
        guard let streams else {
            for projection in Projection.allCases {
                try fit(projection, layer, nil, nil, into: &fitted)
                try step(projection.rawValue)
            }
            return fitted
        }
        var pass = BlockPass(
            try DecoderBlock(
                layer, of: configuration, from: WeightLoader(checkpoint, as: .float32, on: device)),
            streams, configuration, anchor: fit.anchor, device: device)
        for input in Projection.Input.allCases {
            let wanted = input.projections.filter { isCompressed($0, layer) }
            var observed = try pass.observe(input, wanted) { try step("block \(layer)") }
            TorchRuntime.releaseUnusedMemory()
            // Layers that read the same activation share its moment.
            let moment = try observed?.takeMoment(named: input, shrinkage: fit.shrinkage)
            for projection in wanted {
                try fit(
                    projection, layer, moment, observed?.takeWanted(projection), into: &fitted)
                if let network = fitted.last?.network {
                    try pass.replace(projection, by: network)
                }
            }
            for projection in input.projections { try step(projection.rawValue) }
        }
        try pass.finish { try step("block \(layer)") }
        return fitted
    }

    private func planned(_ projection: Projection, _ layer: Int) -> (LinearModule, PatchPlan) {
        let module = configuration.module(projection, ofLayer: layer)
        guard let matrix = plan.matrices.first(where: { $0.name == module.name }),
            let patch = matrix.patches.first
        else { preconditionFailure("the plan was checked to name every module") }
        return (module, patch)
    }

    private func isCompressed(_ projection: Projection, _ layer: Int) -> Bool {
        planned(projection, layer).1.format != .dense
    }

    private func fit(
        _ projection: Projection, _ layer: Int, _ moment: SecondMoment?, _ wanted: Tensor?,
        into fitted: inout [Fitted]
    ) throws {
        guard isCompressed(projection, layer) else { return }
        let (module, patch) = planned(projection, layer)
        let weight = try WeightLoader(checkpoint, as: .float64, on: device)
            .tensor(module.weight.name)
        let output = try outputMoments.map {
            try SecondMoment(
                $0.moment(of: projection, layer: layer).moved(to: device), size: module.rows,
                shrinkage: fit.outputShrinkage, name: "the output moment of \(module.name)")
        }
        let objective = try FitObjective(
            weight: weight, moment: moment, wanted: wanted, output: output)
        let (network, error) = try self.fitted(objective, patch.format, isWeighted: moment != nil)
        let stored = try network.stored(as: patch.elementType, for: objective)
        fitted.append(
            Fitted(
                matrix: try CompressedMatrix(
                    MatrixPlan(module, patch.format, as: patch.elementType)),
                network: stored,
                record: CompressionReport.Matrix(
                    name: module.name, rows: module.rows, columns: module.columns,
                    format: patch.format, parameters: network.parameterCount, relativeError: error)
            ))
        // The allocator would keep the temporaries of this matrix beside those of the next.
        TorchRuntime.releaseUnusedMemory()
    }

    /// Without moments there is nothing to weight by: the plain decomposition is the answer.
    private func fitted(
        _ objective: FitObjective, _ format: Format, isWeighted: Bool
    ) throws -> (Factorization, relativeError: Double) {
        guard !isWeighted else { return try Factorization.fit(objective, format: format) }
        let network = try Factorization.decomposing(objective.target, format: format)
        return (network, try objective.relativeError(of: network.reconstructed()))
    }
}

extension BlockPass.Observation {
    fileprivate mutating func takeMoment(
        named input: Projection.Input, shrinkage: Double
    ) throws -> SecondMoment {
        let moment = takeMoment()
        return try SecondMoment(
            moment, size: moment.shape[0], shrinkage: shrinkage,
            name: "the \(input.rawValue) moment")
    }
}
