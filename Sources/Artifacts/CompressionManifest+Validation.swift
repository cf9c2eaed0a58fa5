import TensorNetworks
import Tensors

extension CompressionManifest {
    /// Checks everything that can be checked without the tensors.
    package func validate() throws(ManifestError) {
        guard version == Self.currentVersion else { throw .version(version, Self.currentVersion) }
        try plan.validate()
        guard plan.source == source else {
            throw .differentSource(manifest: source, plan: plan.source)
        }
        var names: Set<String> = []
        for matrix in matrices {
            guard names.insert(matrix.name).inserted else { throw .repeated(matrix.name) }
            try MatrixRegion.requireTiling(
                matrix.patches.map(\.region), rows: matrix.rows, columns: matrix.columns,
                of: matrix.name)
            for patch in matrix.patches {
                guard patch.elementType.storesWeights else {
                    throw .elementType(patch.elementType, matrix: matrix.name)
                }
                _ = try patch.declarations(matrix: matrix.name)
            }
        }
    }

    /// Checks that every part is there, of the type and shape that its format takes.
    /// - Parameters:
    ///   - info: what the headers say of a tensor.
    ///   - path: the manifest's, for errors.
    package func validate(
        against info: (String) -> TensorInfo?, of path: String
    ) throws(CheckpointError) {
        var faults: [TensorFault] = []
        do throws(ManifestError) {
            for matrix in matrices {
                for patch in matrix.patches {
                    for expected in try patch.declarations(matrix: matrix.name) {
                        faults += Self.fault(info(expected.name), expected)
                    }
                }
            }
        } catch {
            throw .manifest(file: path, reason: error.description)
        }
        if !faults.isEmpty { throw .disagreement(folder: path, faults) }
    }

    private static func fault(_ found: TensorInfo?, _ expected: TensorInfo) -> [TensorFault] {
        guard let found else { return [.missing(expected.name)] }
        guard found.shape == expected.shape else {
            return [.shape(expected.name, found: found.shape, expected: expected.shape)]
        }
        guard found.elementType == expected.elementType else {
            return [
                .elementType(
                    expected.name, found: found.elementType,
                    expected: expected.elementType.rawValue)
            ]
        }
        return []
    }
}
