import CTorch

extension Tensor {
    /// Matrix product over the last two dimensions, the others broadcast.
    package func matmul(_ other: Tensor) throws(TensorError) -> Tensor {
        try TorchCall.make("matmul", [self, other]) { ct_matmul($0[0], $0[1], $1) }
    }

    /// y = x · weightᵀ (+ bias).
    /// - Parameters:
    ///   - weight: `[out, in]`.
    ///   - bias: `[out]`.
    /// - Returns: `[…, out]` for this `[…, in]`.
    package func linear(_ weight: Tensor, bias: Tensor? = nil) throws(TensorError) -> Tensor {
        try TorchCall.make("linear", [self, weight] + (bias.map { [$0] } ?? [])) {
            ct_linear($0[0], $0[1], $0.count > 2 ? $0[2] : nil, $1)
        }
    }

    /// x · weightᵀ in float32, also of operands of 16 bits: sums that are accumulated in float32 need not be rounded
    /// first.
    /// - Parameter weight: `[out, in]`.
    /// - Returns: `[rows, out]` for this `[rows, in]`.
    package func linearInFloat32(_ weight: Tensor) throws(TensorError) -> Tensor {
        try TorchCall.make("linearInFloat32", [self, weight]) {
            ct_linear_float($0[0], $0[1], $1)
        }
    }

    /// Sums products of the operands over the letters that the result does not name, as in
    /// `"tnr,rms->tnms"`.
    package static func einsum(
        _ equation: String, _ operands: Tensor...
    ) throws(TensorError) -> Tensor {
        try einsum(equation, operands)
    }

    package static func einsum(
        _ equation: String, _ operands: [Tensor]
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("einsum(\(equation))", operands) { handles, out in
            handles.withUnsafeBufferPointer {
                ct_einsum(equation, $0.baseAddress, Int32($0.count), out)
            }
        }
    }
}
