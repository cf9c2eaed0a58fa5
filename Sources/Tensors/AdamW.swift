/// AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2) over leaf tensors.
///
///     p ← p · (1 − learningRate · weightDecay)
///     m ← β₁·m + (1 − β₁)·g,   v ← β₂·v + (1 − β₂)·g²
///     p ← p − learningRate · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + epsilon)
package struct AdamW {
    /// May change between steps.
    package var learningRate: Double
    /// β₁ and β₂.
    package let betas: (first: Double, second: Double)
    package let epsilon: Double
    package let weightDecay: Double
    /// Steps made.
    package private(set) var steps = 0

    private let parameters: [Tensor]
    private let means: [Tensor]
    private let squares: [Tensor]

    /// - Parameter parameters: changed in place by every step.
    package init(
        _ parameters: [Tensor], learningRate: Double, betas: (Double, Double) = (0.9, 0.999),
        epsilon: Double = 1e-8, weightDecay: Double = 0.01
    ) throws(TensorError) {
        self.parameters = parameters
        self.learningRate = learningRate
        self.betas = betas
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        var states: [Tensor] = []
        for parameter in parameters + parameters {
            states.append(
                try Tensor.zeros(
                    parameter.shape, parameter.elementType, on: parameter.device))
        }
        means = Array(states.prefix(parameters.count))
        squares = Array(states.suffix(parameters.count))
    }

    /// - Parameter gradients: of the loss by the parameters, in their order.
    package mutating func step(_ gradients: [Tensor]) throws {
        precondition(
            gradients.count == parameters.count,
            "\(gradients.count) gradients for \(parameters.count) parameters")
        steps += 1
        let firstBias = 1 - power(betas.first, steps)
        let secondBias = 1 - power(betas.second, steps)
        try withoutGradients {
            for (index, gradient) in gradients.enumerated() {
                let (mean, square) = (means[index], squares[index])
                try mean.scale(by: betas.first)
                try mean.accumulate(gradient, times: 1 - betas.first)
                try square.scale(by: betas.second)
                try square.accumulate(gradient.squared(), times: 1 - betas.second)
                let spread = try (square * (1 / secondBias)).squareRoot() + epsilon
                try parameters[index].scale(by: 1 - learningRate * weightDecay)
                try parameters[index].accumulate(mean / spread, times: -learningRate / firstBias)
            }
        }
    }

    private func power(_ base: Double, _ exponent: Int) -> Double {
        (0..<exponent).reduce(1) { product, _ in product * base }
    }
}
