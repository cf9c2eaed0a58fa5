import Tensors

extension Checkpoint {
    /// Requires that the tensors are those of the configuration, with compressed matrices as the
    /// manifest describes them; what runtimes leave in files without meaning is tolerated.
    package func validate(against configuration: ModelConfiguration) throws(CheckpointError) {
        var faults: [TensorFault] = []
        let parts = manifest?.tensorNames ?? []
        var known = parts
        var compressed: [String: CompressedMatrix] = [:]
        for matrix in manifest?.matrices ?? [] { compressed["\(matrix.name).weight"] = matrix }

        for expected in configuration.expectedTensors {
            known.insert(expected.name)
            if let matrix = compressed.removeValue(forKey: expected.name) {
                faults += fault(of: matrix, instead: expected, parts)
            } else {
                faults += fault(of: expected)
            }
        }
        faults += compressed.keys.sorted().map { .unexpected($0) }
        for name in tensorNames where !known.contains(name) && !isHarmless(name, configuration) {
            faults.append(.unexpected(name))
        }
        if !faults.isEmpty { throw .disagreement(folder: folder, faults) }
    }

    private func fault(of expected: ExpectedTensor) -> [TensorFault] {
        guard let found = info(expected.name) else { return [.missing(expected.name)] }
        guard found.shape == expected.shape else {
            return [.shape(expected.name, found: found.shape, expected: expected.shape)]
        }
        guard found.elementType.isFloatingPoint else {
            return [
                .elementType(
                    expected.name, found: found.elementType, expected: "a floating-point type")
            ]
        }
        return []
    }

    /// The parts themselves were checked when the manifest was read.
    private func fault(
        of matrix: CompressedMatrix, instead expected: ExpectedTensor, _ parts: Set<String>
    ) -> [TensorFault] {
        guard expected.shape == [matrix.rows, matrix.columns] else {
            return [
                .shape(
                    matrix.name, found: [matrix.rows, matrix.columns], expected: expected.shape)
            ]
        }
        // A dense patch of the whole matrix may keep the weight's own name.
        guard info(expected.name) == nil || parts.contains(expected.name) else {
            return [.unexpected(expected.name)]
        }
        return []
    }

    private func isHarmless(_ name: String, _ configuration: ModelConfiguration) -> Bool {
        // Old exports keep the rotary frequencies, which follow from the configuration, and a copy
        // of the embedding as the head that is tied to it.
        if name.hasSuffix(".rotary_emb.inv_freq") { return true }
        return configuration.tiesEmbeddings && name == "lm_head.weight"
            && info(name)?.shape == [configuration.vocabularySize, configuration.hiddenSize]
    }
}
