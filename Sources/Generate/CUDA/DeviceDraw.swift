import CCUDA
import Kernels
import Tensors

/// Drawing tokens alone, out of random logits: for what it takes.
package struct DeviceDraw {
    private let sampler: DeviceSampler
    private let logits: Tensor
    private let choices: [TokenChoice?]

    /// - Parameters:
    ///   - sequences: rows of logits.
    ///   - device: a GPU.
    package init(
        _ options: SamplingOptions, vocabulary: Int, sequences: Int, on device: Device
    ) throws {
        guard case .cuda(let ordinal) = device else { preconditionFailure("drawn on a GPU") }
        let opened = try CUDADevice.open(ordinal)
        sampler = DeviceSampler(
            try DeviceKernels(opened), try CUDAStream(on: opened), on: device)
        // Standard deviations as models' logits have them.
        let noise = try Tensor.noise([sequences, vocabulary], seed: 1, on: device)
        logits = try noise.converted(to: .float32) * 3
        choices = (0..<sequences).map {
            TokenChoice(options: options, seen: [], uniform: (Double($0) + 0.5) / Double(sequences))
        }
    }

    /// Once, with what goes to the device and comes back.
    package func draw() throws { _ = try sampler.tokens(out: logits, choices) }
}
