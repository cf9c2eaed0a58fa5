import TensorNetworks
import Tensors

/// `sensitivity.json`: for every matrix that may be compressed, how much the model depends on it and
/// what each format that it could take would cost.
package struct SensitivityMap: JSONArtifact, Hashable, Sendable {
    package static let noun = "sensitivity map"
    package static let currentVersion = 1
    /// 500 matrices of 200 candidates take about 30 MB.
    package static let largestFile = 256 << 20

    package let version: Int
    /// The dense checkpoint that was analysed.
    package let source: Fingerprint
    /// How it was analysed: calibration, measured share, predictor…
    package let settings: [String: JSONValue]
    package let matrices: [MatrixSensitivity]

    package init(
        source: Fingerprint, settings: [String: JSONValue], matrices: [MatrixSensitivity]
    ) {
        version = Self.currentVersion
        self.source = source
        self.settings = settings
        self.matrices = matrices
    }

    /// Values of all matrices, dense.
    package var parameterCount: Int { matrices.reduce(0) { $0 + $1.rows * $1.columns } }
}

/// One matrix of a sensitivity map, or one patch of a matrix.
package struct MatrixSensitivity: Codable, Hashable, Sendable {
    /// Most samples of a spectrum.
    package static let mostSamples = 64

    /// The module, as in `model.layers.0.self_attn.q_proj`.
    package let name: String
    /// Where the patch lies in its matrix; `nil` is the whole matrix. The patches of a matrix follow one
    /// another and tile it.
    package let region: MatrixRegion?
    /// Of the patch.
    package let rows: Int
    package let columns: Int
    /// The type that the checkpoint stores the values in; a network's values keep it.
    package let elementType: ElementType
    /// How much the model suffers when this matrix is compressed, among all matrices: from 0, least,
    /// to 1.
    package let score: Double
    /// Entanglement entropy of the whitened matrix in nats: −Σ pᵢ·ln pᵢ with pᵢ = σᵢ² / Σ σ².
    package let entropy: Double
    /// Samples of the normalised energies pᵢ, largest first, for pictures.
    package let spectrum: [Double]
    /// What the matrix could become. To stay dense is always possible and is not listed: it takes
    /// rows · columns values and costs nothing.
    package let candidates: [Candidate]

    package init(
        name: String, region: MatrixRegion? = nil, rows: Int, columns: Int,
        elementType: ElementType, score: Double, entropy: Double, spectrum: [Double],
        candidates: [Candidate]
    ) {
        self.name = name
        self.region = region
        self.rows = rows
        self.columns = columns
        self.elementType = elementType
        self.score = score
        self.entropy = entropy
        self.spectrum = spectrum
        self.candidates = candidates
    }

    /// With another score.
    package func scored(_ score: Double) -> MatrixSensitivity {
        MatrixSensitivity(
            name: name, region: region, rows: rows, columns: columns, elementType: elementType,
            score: score, entropy: entropy, spectrum: spectrum, candidates: candidates)
    }

    /// As people read it: the name, and for a patch where it lies.
    package var label: String { region.map { "\(name) \($0)" } ?? name }

    private enum CodingKeys: String, CodingKey {
        case name, region, rows, columns, score, entropy, spectrum, candidates
        case elementType = "dtype"
    }
}

/// One format that a matrix could take.
package struct Candidate: Codable, Hashable, Sendable {
    package let format: Format
    /// Values that the format stores.
    package let parameters: Int
    /// Everything that it stores, row numbers included.
    package let bytes: Int
    /// Rise of the model's mean KL divergence from the dense model, in nats per token, when this
    /// matrix alone takes the format.
    package let predictedKL: Double
    /// The same rise, measured on calibration text; most candidates have none.
    package let measuredKL: Double?

    package init(
        format: Format, parameters: Int, bytes: Int, predictedKL: Double,
        measuredKL: Double? = nil
    ) {
        self.format = format
        self.parameters = parameters
        self.bytes = bytes
        self.predictedKL = predictedKL
        self.measuredKL = measuredKL
    }

    /// Counts what the format takes.
    package init(
        _ format: Format, rows: Int, columns: Int, as type: ElementType, predictedKL: Double,
        measuredKL: Double? = nil
    ) throws(FormatError) {
        self.init(
            format: format,
            parameters: try format.parameterCount(rows: rows, columns: columns),
            bytes: try format.byteCount(rows: rows, columns: columns, as: type),
            predictedKL: predictedKL, measuredKL: measuredKL)
    }

    private enum CodingKeys: String, CodingKey {
        case format, parameters, bytes
        case predictedKL = "predicted_kl"
        case measuredKL = "measured_kl"
    }
}
