import TensorNetworks

/// What a compression did, matrix by matrix: what `minima compress --json` prints.
package struct CompressionReport: JSONArtifact, Hashable, Sendable {
    package static let noun = "compression report"
    package static let currentVersion = 1
    package static let largestFile = 64 << 20

    package struct Matrix: Codable, Hashable, Sendable {
        package let name: String
        package let rows: Int
        package let columns: Int
        /// One for each patch.
        package let formats: [Format]
        package let parameters: Int
        /// Of the fit, in its own norm: E‖L_Gᵀ(y − Ŵx̂)‖² less what no matrix can avoid, over
        /// E‖L_Gᵀ·T·x̂‖², with T the best dense matrix. Unanchored and one-sided: E‖(W − Ŵ)x‖² / E‖Wx‖².
        package let relativeError: Double

        package init(
            name: String, rows: Int, columns: Int, formats: [Format], parameters: Int,
            relativeError: Double
        ) {
            self.name = name
            self.rows = rows
            self.columns = columns
            self.formats = formats
            self.parameters = parameters
            self.relativeError = relativeError
        }

        private enum CodingKeys: String, CodingKey {
            case name, rows, columns, formats, parameters
            case relativeError = "relative_error"
        }
    }

    package let version: Int
    /// Of the dense checkpoint.
    package let fingerprint: Fingerprint
    /// Folders of the dense and of the compressed checkpoint.
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

    package init(
        fingerprint: Fingerprint, source: String, output: String, matrices: [Matrix],
        linearParametersBefore: Int, linearParametersAfter: Int, bytesBefore: Int,
        bytesAfter: Int, calibrationTokens: Int, seconds: Double
    ) {
        version = Self.currentVersion
        self.fingerprint = fingerprint
        self.source = source
        self.output = output
        self.matrices = matrices
        self.linearParametersBefore = linearParametersBefore
        self.linearParametersAfter = linearParametersAfter
        self.bytesBefore = bytesBefore
        self.bytesAfter = bytesAfter
        self.calibrationTokens = calibrationTokens
        self.seconds = seconds
    }

    private enum CodingKeys: String, CodingKey {
        case version, fingerprint, source, output, matrices, seconds
        case linearParametersBefore = "linear_parameters_before"
        case linearParametersAfter = "linear_parameters_after"
        case bytesBefore = "bytes_before"
        case bytesAfter = "bytes_after"
        case calibrationTokens = "calibration_tokens"
    }

    package func validate() throws(ManifestError) {
        guard version == Self.currentVersion else { throw .version(version, Self.currentVersion) }
        for matrix in matrices where !matrix.relativeError.isFinite {
            throw .number(
                "relative_error", matrix.relativeError, matrix: matrix.name,
                expected: "a finite number")
        }
    }
}
