// Two 1-D convolutions over depth, kernel 3, over the same projection in neighbouring blocks, and a
// linear head: what a linear scale leaves, learnt from the shape of the spectra around a matrix.
//
// The output is wanted at one block at a time, so a convolution is a product of its weight with the
// features of three neighbouring blocks, concatenated.
import Foundation
import Tensors

struct DepthNetwork {
    /// Channels between the layers.
    static let width = 16
    static let names = ["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "head.weight"]

    /// In the order of `names`, float64.
    let parameters: [Tensor]

    init(parameters: [Tensor]) { self.parameters = parameters }

    static var shapes: [[Int]] {
        let features = PredictorInput.names.count
        return [[width, 3 * features], [width], [width, 3 * width], [width], [1, width]]
    }

    /// - Parameter x: `[rows, 5, features]`, normalised.
    /// - Returns: `[rows]`.
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let first = try Self.convolved(x, parameters[0], parameters[1])
        let second = try Self.convolved(first, parameters[2], parameters[3])
        return try second.squeezed(1).linear(parameters[4]).squeezed(1)
    }

    /// silu of a convolution over dimension 1, without padding: `[rows, n, c]` → `[rows, n − 2, out]`.
    private static func convolved(_ x: Tensor, _ weight: Tensor, _ bias: Tensor) throws -> Tensor {
        let length = x.shape[1]
        let shifted = try Tensor.concatenated(
            [
                x.narrowed(1, 0..<length - 2), x.narrowed(1, 1..<length - 1),
                x.narrowed(1, 2..<length),
            ], along: 2)
        return try shifted.linear(weight, bias: bias).silu()
    }

    /// How a network is trained; all rows in every step.
    struct Training {
        var steps = 150
        var learningRate = 0.01
        /// Few rows and many features: what is not needed must go.
        var weightDecay = 0.5
        var seed: UInt64 = 0
    }

    /// Minimises the mean squared error from random weights; same inputs, same network.
    init(_ x: Tensor, _ targets: [Double], _ training: Training = Training()) throws {
        let y = try Tensor(targets)
        var leaves: [Tensor] = []
        for (index, shape) in Self.shapes.enumerated() {
            let noise = try Tensor.normal(
                shape, seed: training.seed &* 31 &+ UInt64(index), .float64)
            // The head begins small: the network starts out as no correction.
            let scale =
                shape.count == 1
                ? 0 : (index == 4 ? 0.1 : 1) / Double(shape[1]).squareRoot()
            leaves.append(try (noise * scale).requiringGradient())
        }
        let network = DepthNetwork(parameters: leaves)
        var optimizer = try AdamW(
            leaves, learningRate: training.learningRate, weightDecay: training.weightDecay)
        for step in 0..<training.steps {
            let phase = Double(step) / Double(training.steps)
            optimizer.learningRate = training.learningRate * 0.5 * (1 + cos(Double.pi * phase))
            let gradients = try withGradients {
                try (network(x) - y).squared().mean().gradients(for: leaves)
            }
            try optimizer.step(gradients)
        }
        parameters = try leaves.map { try $0.detached() }
    }
}
