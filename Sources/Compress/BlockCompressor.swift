import Artifacts
import Foundation
import Models
import TensorNetworks
import Tensors

/// Compresses the linear layers of one block.
struct BlockCompressor {
    let checkpoint: Checkpoint
    let configuration: ModelConfiguration
    let plan: CompressionPlan
    let settings: CompressionSettings
    let device: Device

    /// A matrix and how well it was fitted.
    struct Fitted {
        let matrix: CompressedMatrix
        let network: Factorization
        let record: CompressionReport.Matrix
    }

    /// Runs block `layer` of the dense model over the calibration states and collects the second
    /// moments of its layers' inputs.
    /// - Parameters:
    ///   - states: what the block reads.
    ///   - next: where its outputs go; `nil` after the last block.
    ///   - step: called after every window.
    func observe(
        _ layer: Int, _ states: HiddenStateFile.Reader, windows: Int, next: HiddenStateFile?,
        step: () throws -> Void
    ) throws -> InputMoments {
        let block = try DecoderBlock(
            layer, of: configuration, from: WeightLoader(checkpoint, as: .float32, on: device))
        let rotary = RotaryTables(configuration, type: .float32, device: device)
        var moments = InputMoments()
        var none: KVCache?
        func output(_ window: Int) throws -> Tensor {
            let x = try states.window(window).moved(to: device)
            let y = try block.forward(x, rotary: rotary, cache: &none) { input, activation in
                try moments.add(activation, to: input)
            }
            try step()
            return y
        }
        if let next {
            try next.write(output)
        } else {
            for window in 0..<windows { _ = try output(window) }
        }
        return moments
    }

    /// Fits every matrix of block `layer`.
    /// - Parameter moments: of the layers' inputs; `nil` fits the weights alone.
    func fit(
        _ layer: Int, _ moments: InputMoments?, step: (String) throws -> Void
    ) throws -> [Fitted] {
        var moments = moments
        let loader = WeightLoader(checkpoint, as: .float64, on: device)
        var fitted: [Fitted] = []
        for input in Projection.Input.allCases {
            // Layers that read the same activation share its moment and that moment's factors.
            let moment = try moments?.take(input, shrinkage: settings.shrinkage)
            for projection in input.projections {
                let module = configuration.module(projection, ofLayer: layer)
                fitted.append(try fit(module, try loader.tensor(module.weight.name), moment))
                // The allocator would keep the temporaries of this matrix beside those of the next.
                TorchRuntime.releaseUnusedMemory()
                try step(module.name)
            }
        }
        return fitted
    }

    private func fit(_ module: LinearModule, _ weight: Tensor, _ moment: SecondMoment?) throws
        -> Fitted
    {
        guard let matrixPlan = plan.matrices.first(where: { $0.name == module.name }),
            let patch = matrixPlan.patches.first
        else { preconditionFailure("a uniform plan names every module") }
        let objective = try FitObjective(weight: weight, moment: moment)
        let (network, error) = try fitted(objective, patch.format)
        let stored = try network.stored(as: patch.elementType, for: objective)
        return Fitted(
            matrix: try CompressedMatrix(matrixPlan), network: stored,
            record: CompressionReport.Matrix(
                name: module.name, rows: module.rows, columns: module.columns,
                format: patch.format, parameters: network.parameterCount, relativeError: error))
    }

    /// Without moments there is nothing to weight by: the plain decomposition is the answer.
    private func fitted(
        _ objective: FitObjective, _ format: Format
    ) throws -> (Factorization, relativeError: Double) {
        guard !settings.isWeighted else {
            return try Factorization.fit(objective, format: format)
        }
        let network = try Factorization.decomposing(objective.target, format: format)
        return (network, try objective.relativeError(of: network.reconstructed()))
    }
}
