import Artifacts

/// The model around the matrices of a map.
package struct ModelRemainder: Hashable, Sendable {
    package let configuration: ModelConfiguration
    /// Bytes of all tensors that are no matrix of the map: embeddings, norms, biases, the head.
    package let otherBytes: Int

    package init(_ configuration: ModelConfiguration, otherBytes: Int) {
        self.configuration = configuration
        self.otherBytes = otherBytes
    }

    /// Reads the whole checkpoint, for its fingerprint: the map of another one is refused.
    package init(of map: SensitivityMap, in folder: String) throws {
        let configuration = try ModelConfiguration(folder: folder)
        let checkpoint = try Checkpoint(folder)
        try checkpoint.validate(against: configuration)
        let otherBytes = try Self.otherBytes(of: map, in: checkpoint)
        let fingerprint = try checkpoint.fingerprint()
        guard fingerprint == map.source else {
            throw PlanError.differentSource(
                folder: folder, found: fingerprint, expected: map.source)
        }
        self.init(configuration, otherBytes: otherBytes)
    }

    private static func otherBytes(
        of map: SensitivityMap, in checkpoint: Checkpoint
    ) throws(PlanError) -> Int {
        var others = checkpoint.byteCount
        for matrix in map.matrices {
            guard let weight = checkpoint.info("\(matrix.name).weight") else {
                throw .missingMatrix(matrix.name, folder: checkpoint.folder)
            }
            let expected = "\([matrix.rows, matrix.columns]) of \(matrix.elementType.rawValue)"
            let found = "\(weight.shape) of \(weight.elementType.rawValue)"
            guard found == expected else {
                throw .differentMatrix(
                    matrix.name, folder: checkpoint.folder, found: found, expected: expected)
            }
            others -= weight.byteCount
        }
        return others
    }
}
