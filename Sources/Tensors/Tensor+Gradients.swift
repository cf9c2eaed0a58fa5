import CTorch

extension Tensor {
    /// Marks a leaf tensor as one that gradients are wanted for.
    package func requiringGradient(_ required: Bool = true) throws(TensorError) -> Tensor {
        try TorchCall.run("requiringGradient", [self]) { ct_require_gradient($0[0], required) }
        return self
    }

    package var requiresGradient: Bool {
        withExtendedLifetime(handle) {
            var required = false
            TorchCall.query("requiresGradient") { ct_requires_gradient(handle.raw, &required) }
            return required
        }
    }

    /// The same elements, outside of any recorded computation.
    package func detached() throws(TensorError) -> Tensor {
        try TorchCall.make("detached", [self]) { ct_detach($0[0], $1) }
    }

    /// Adds d(self)/d(leaf) to the gradient of every leaf that requires one; self has one element.
    package func backward() throws(TensorError) {
        try TorchCall.run("backward", [self]) { ct_backward($0[0]) }
    }

    /// The gradient that `backward` accumulated, if any.
    package func gradient() throws(TensorError) -> Tensor? {
        var found: OpaquePointer?
        try TorchCall.run("gradient", [self]) { ct_gradient($0[0], &found) }
        return found.map { Tensor(handle: TensorHandle(owning: $0)) }
    }

    package func clearGradient() throws(TensorError) {
        try TorchCall.run("clearGradient", [self]) { ct_clear_gradient($0[0]) }
    }

    /// d(self)/d(input) for each input, leaving the inputs' accumulated gradients alone.
    package func gradients(for inputs: [Tensor]) throws(TensorError) -> [Tensor] {
        try TorchCall.make("gradients", [self] + inputs, count: inputs.count) { handles, out in
            handles.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return Int32(CT_FAILED) }
                return ct_gradients(buffer[0], base + 1, Int32(inputs.count), out)
            }
        }
    }

    /// d⟨upstream, self⟩/d(input) for each input, which this tensor must depend on: a step of the chain
    /// rule from the gradient of some loss by this tensor, of its shape, to those by the inputs.
    package func gradients(
        for inputs: [Tensor], upstream: Tensor
    ) throws(TensorError) -> [Tensor] {
        try TorchCall.make(
            "gradients(upstream:)", [self, upstream] + inputs, count: inputs.count
        ) { handles, out in
            handles.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return Int32(CT_FAILED) }
                return ct_pulled_back(buffer[0], buffer[1], base + 2, Int32(inputs.count), out)
            }
        }
    }
}

/// Runs `body` without recording operations for gradients, on this thread.
package func withoutGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
    try recordingGradients(false, body)
}

/// Runs `body` recording operations for gradients, on this thread, also inside `withoutGradients`.
package func withGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
    try recordingGradients(true, body)
}

private func recordingGradients<Result>(
    _ enabled: Bool, _ body: () throws -> Result
) rethrows -> Result {
    var previous = true
    TorchCall.query("recordingGradients") { ct_set_gradients(enabled, &previous) }
    defer {
        var ignored = false
        TorchCall.query("recordingGradients") { ct_set_gradients(previous, &ignored) }
    }
    return try body()
}
