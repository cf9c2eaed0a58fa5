import CTorch

/// AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2) over leaf tensors of one type on one
/// device, by libtorch's fused kernel: one pass over parameters, gradients and moments.
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

    package let parameters: [Tensor]
    /// m and v of every parameter.
    package let means: [Tensor]
    package let squares: [Tensor]
    /// All of them in one dimension: the kernel wants equal strides, and those of a dimension of one
    /// element are arbitrary.
    private let flat: [Tensor]

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
        var flat: [Tensor] = []
        for tensor in parameters + states {
            precondition(tensor.isContiguous, "a parameter is changed in place, in order")
            flat.append(try tensor.detached().reshaped([tensor.count]))
        }
        self.flat = flat
    }

    /// - Parameters:
    ///   - gradients: of the loss by the parameters, in their order; may be overwritten.
    ///   - divisor: what the gradients are divided by, float32 of shape [] on their device.
    ///   - skip: 1 where nothing is to be changed, else 0; alike.
    package mutating func step(
        _ gradients: [Tensor], dividedBy divisor: Tensor? = nil, unless skip: Tensor? = nil
    ) throws {
        precondition(
            gradients.count == parameters.count,
            "\(gradients.count) gradients for \(parameters.count) parameters")
        steps += 1
        guard let device = parameters.first?.device else { return }
        let step = try Tensor.full([], Double(steps), .float32, on: device)
        let count = parameters.count
        let optional = [divisor, skip].compactMap { $0 }
        try withoutGradients {
            let changes = try gradients.map { try $0.detached().reshaped([$0.count]) }
            try TorchCall.run(
                "AdamW", flat[..<count] + changes + flat[count...] + [step] + optional
            ) { handles in
                handles.withUnsafeBufferPointer { buffer in
                    guard let base = buffer.baseAddress else { return Int32(CT_FAILED) }
                    let rest = buffer[(4 * count + 1)...]
                    return ct_adamw_(
                        base, base + count, base + 2 * count, base + 3 * count, Int32(count),
                        buffer[4 * count], learningRate, betas.first, betas.second, weightDecay,
                        epsilon, divisor == nil ? nil : rest.first ?? nil,
                        skip == nil ? nil : rest.last ?? nil)
                }
            }
        }
    }

    /// Goes on from the moments that an earlier optimiser of the same parameters had after `steps`.
    package mutating func resume(
        after steps: Int, means: [Tensor], squares: [Tensor]
    ) throws(TensorError) {
        precondition(
            means.count == parameters.count && squares.count == parameters.count,
            "moments are those of the parameters")
        self.steps = steps
        for (mine, theirs) in zip(self.means + self.squares, means + squares) {
            try mine.assign(theirs)
        }
    }
}

extension Array where Element == Tensor {
    /// 2-norm of all elements of tensors of one type on one device, shape [].
    package func totalNorm() throws(TensorError) -> Tensor {
        try TorchCall.make("totalNorm", self) { handles, out in
            handles.withUnsafeBufferPointer {
                ct_total_norm($0.baseAddress, Int32($0.count), out)
            }
        }
    }
}
