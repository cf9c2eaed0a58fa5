import TensorNetworks

/// What a compression did, matrix by matrix.
package struct CompressionReport: Codable, Sendable {
    package struct Matrix: Codable, Sendable {
        package let name: String
        package let rows: Int
        package let columns: Int
        package let format: Format
        package let parameters: Int
        /// Of the fit, in its own norm: E‖L_Gᵀ(y − Ŵx̂)‖² less what no matrix can avoid, over
        /// E‖L_Gᵀ·T·x̂‖², with T the best dense matrix. Unanchored and one-sided: E‖(W − Ŵ)x‖² / E‖Wx‖².
        package let relativeError: Double

        private enum CodingKeys: String, CodingKey {
            case name, rows, columns, format, parameters
            case relativeError = "relative_error"
        }
    }

    package let source: String
    package let output: String
    package let matrices: [Matrix]
    /// Parameters of the blocks' linear layers, before and after.
    package let linearParametersBefore: Int
    package let linearParametersAfter: Int
    /// Bytes of all tensors, before and after.
    package let bytesBefore: Int
    package let bytesAfter: Int
    package let calibrationTokens: Int
    package let seconds: Double

    private enum CodingKeys: String, CodingKey {
        case source, output, matrices, seconds
        case linearParametersBefore = "linear_parameters_before"
        case linearParametersAfter = "linear_parameters_after"
        case bytesBefore = "bytes_before"
        case bytesAfter = "bytes_after"
        case calibrationTokens = "calibration_tokens"
    }
}
