import Artifacts
import TensorNetworks

/// What compressing one region of one matrix, and nothing else, was measured to cost.
package struct ProbeMeasurement: Hashable, Sendable {
    /// Measurements of equal keys are the same measurement.
    package struct Key: Hashable, Sendable {
        /// The dense model.
        package let checkpoint: Fingerprint
        /// Of the windows that the divergence was taken over.
        package let text: Fingerprint
        /// As in `model.layers.0.self_attn.q_proj`.
        package let matrix: String
        package let region: MatrixRegion
        package let format: Format
        /// How it was fitted: `ProbeSettings`, as canonical JSON.
        package let fit: String

        package init(
            checkpoint: Fingerprint, text: Fingerprint, matrix: String, region: MatrixRegion,
            format: Format, fit: String
        ) {
            self.checkpoint = checkpoint
            self.text = text
            self.matrix = matrix
            self.region = region
            self.format = format
            self.fit = fit
        }
    }

    package let key: Key
    /// Rise of the mean KL(dense ‖ probed), in nats per token.
    package let divergence: Double
    /// E‖(W − Ŵ)x‖² / E‖Wx‖² on the calibration text.
    package let outputError: Double
    /// Second-order price of the candidate, in nats per token.
    package let price: Double
    /// Values that the format stores.
    package let parameters: Int
    /// Tokens that the divergence is a mean over.
    package let tokens: Int
    /// When it was measured: ISO 8601, UTC.
    package let date: String
    /// The program that measured it, with its version.
    package let program: String

    package init(
        key: Key, divergence: Double, outputError: Double, price: Double, parameters: Int,
        tokens: Int, date: String, program: String
    ) {
        self.key = key
        self.divergence = divergence
        self.outputError = outputError
        self.price = price
        self.parameters = parameters
        self.tokens = tokens
        self.date = date
        self.program = program
    }
}
