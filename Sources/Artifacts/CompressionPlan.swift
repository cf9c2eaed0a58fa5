import TensorNetworks
import Tensors

/// Which format every matrix is to take, and the settings that led there.
package struct CompressionPlan: Codable, Hashable, Sendable {
    package static let currentVersion = 1

    package let version: Int
    /// The checkpoint that the plan was made for.
    package let source: Fingerprint
    /// What the plan was asked for, as the planner names it: budget, objective, calibration…
    package let settings: [String: JSONValue]
    /// How the matrices are to be fitted; `nil` leaves it to who carries the plan out.
    package let fit: FitSettings?
    package let matrices: [MatrixPlan]

    package init(
        source: Fingerprint, settings: [String: JSONValue], fit: FitSettings? = nil,
        matrices: [MatrixPlan]
    ) {
        version = Self.currentVersion
        self.source = source
        self.settings = settings
        self.fit = fit
        self.matrices = matrices
    }

    /// Every linear layer as it is, with values stored as `type`.
    /// - Parameter source: by default a fingerprint of the configuration alone, where there is no checkpoint.
    package init(
        dense configuration: ModelConfiguration, as type: ElementType, source: Fingerprint? = nil
    ) {
        self.init(
            source: source ?? Fingerprint(hashing: [configuration.source]),
            settings: ["planner": .string("dense")],
            matrices: configuration.linearModules.map { MatrixPlan($0, .dense, as: type) })
    }
}

/// One matrix of a plan: patches that tile it, each with a format of its own.
package struct MatrixPlan: Codable, Hashable, Sendable {
    /// The module, as in `model.layers.0.self_attn.q_proj`.
    package let name: String
    package let rows: Int
    package let columns: Int
    package let patches: [PatchPlan]

    package init(name: String, rows: Int, columns: Int, patches: [PatchPlan]) {
        self.name = name
        self.rows = rows
        self.columns = columns
        self.patches = patches
    }

    /// Whether any patch is anything but dense, or dense and quantised.
    package var isCompressed: Bool {
        patches.contains { $0.format != .dense || $0.elementType.isQuantized }
    }

    /// The same with values stored as `type`.
    package func storing(as type: ElementType) -> MatrixPlan {
        MatrixPlan(
            name: name, rows: rows, columns: columns,
            patches: patches.map {
                PatchPlan($0.region, $0.format, as: type, sharingInputOf: $0.sharesInputOf)
            })
    }

    /// One format for the whole matrix.
    /// - Parameter leader: the module whose input factor it shares.
    package init(
        _ module: LinearModule, _ format: Format, as type: ElementType,
        sharingInputOf leader: String? = nil
    ) {
        self.init(
            name: module.name, rows: module.rows, columns: module.columns,
            patches: [
                PatchPlan(
                    MatrixRegion(rows: 0..<module.rows, columns: 0..<module.columns), format,
                    as: type, sharingInputOf: leader)
            ])
    }
}

/// One patch of a matrix with its format.
package struct PatchPlan: Codable, Hashable, Sendable {
    package let region: MatrixRegion
    package let format: Format
    /// The type that the values are stored in: I8 and F8_E4M3 have a float32 scale for each row of a factor.
    package let elementType: ElementType
    /// The matrix whose input factor is this one's too: stored once, with that matrix, and fitted to
    /// both. Both are of low rank, of equal rank and type, and read as many inputs.
    package let sharesInputOf: String?

    package init(
        _ region: MatrixRegion, _ format: Format, as elementType: ElementType,
        sharingInputOf leader: String? = nil
    ) {
        self.region = region
        self.format = format
        self.elementType = elementType
        sharesInputOf = leader
    }

    private enum CodingKeys: String, CodingKey {
        case region, format
        case elementType = "dtype"
        case sharesInputOf = "shares_input_of"
    }
}

extension ElementType {
    /// Whether weights can be stored in it.
    var storesWeights: Bool { isFloatingPoint || isQuantized }
}

extension CompressionPlan {
    /// The same with values stored as `type`.
    package func storing(as type: ElementType) -> CompressionPlan {
        CompressionPlan(
            source: source, settings: settings, fit: fit,
            matrices: matrices.map { $0.storing(as: type) })
    }

    /// Checks that the plan means something: versions, names, tilings, formats, sharing and fit.
    package func validate() throws(ManifestError) {
        guard version == Self.currentVersion else { throw .version(version, Self.currentVersion) }
        var names: Set<String> = []
        for matrix in matrices {
            guard names.insert(matrix.name).inserted else { throw .repeated(matrix.name) }
            try MatrixRegion.requireTiling(
                matrix.patches.map(\.region), rows: matrix.rows, columns: matrix.columns,
                of: matrix.name)
            for patch in matrix.patches {
                _ = try patch.region.parts(
                    of: patch.format, storing: patch.elementType, matrix: matrix.name)
                guard patch.elementType.storesWeights else {
                    throw .elementType(patch.elementType, matrix: matrix.name)
                }
            }
        }
        try validateSharing()
        try fit?.validate()
    }
}
