import TensorNetworks
import Tensors

extension SensitivityMap {
    /// Most elements of all matrices together, so that no sum of parameters or bytes overflows.
    package static let mostElements = 1 << 55

    /// Checks versions, names, sizes, numbers, and what every candidate says that it stores.
    package func validate() throws(ManifestError) {
        guard version == Self.currentVersion else { throw .version(version, Self.currentVersion) }
        var names: Set<String> = []
        var elements = 0
        for patches in matricesByName {
            let name = matrices[patches.startIndex].name
            guard names.insert(name).inserted else { throw .repeated(name) }
            for patch in patches {
                try patch.validate()
                // Each is below 2^48.
                elements += patch.rows * patch.columns
                guard elements <= Self.mostElements else {
                    throw .elements(limit: Self.mostElements)
                }
            }
            try Self.requireTiling(patches)
        }
    }

    /// The patches of each matrix; one where it is whole.
    package var matricesByName: [ArraySlice<MatrixSensitivity>] {
        var groups: [ArraySlice<MatrixSensitivity>] = []
        for (index, matrix) in matrices.enumerated() {
            if let last = groups.last, last.first?.name == matrix.name, matrix.region != nil {
                groups[groups.count - 1] = matrices[last.startIndex...index]
            } else {
                groups.append(matrices[index...index])
            }
        }
        return groups
    }

    private static func requireTiling(
        _ patches: ArraySlice<MatrixSensitivity>
    ) throws(ManifestError) {
        guard let first = patches.first, first.region != nil else { return }
        for patch in patches {
            guard let region = patch.region, region.rows.count == patch.rows,
                region.columns.count == patch.columns
            else { throw .size(rows: patch.rows, columns: patch.columns, matrix: patch.name) }
        }
        let regions = patches.compactMap(\.region)
        try MatrixRegion.requireTiling(
            regions, rows: regions.map(\.rows.upperBound).max() ?? 0,
            columns: regions.map(\.columns.upperBound).max() ?? 0, of: first.name)
    }
}

extension MatrixSensitivity {
    fileprivate func validate() throws(ManifestError) {
        let sides = 1...Format.largestSide
        guard sides.contains(rows), sides.contains(columns) else {
            throw .size(rows: rows, columns: columns, matrix: name)
        }
        guard elementType.isFloatingPoint else { throw .elementType(elementType, matrix: name) }
        guard score >= 0, score <= 1 else {
            throw .number("score", score, matrix: name, expected: "from 0 to 1")
        }
        try requireFinite(entropy, "entropy")
        guard spectrum.count <= Self.mostSamples else {
            throw .number(
                "spectrum", Double(spectrum.count), matrix: name,
                expected: "\(Self.mostSamples) samples at most")
        }
        for sample in spectrum { try requireFinite(sample, "spectrum") }
        var formats: Set<Format> = []
        for candidate in candidates {
            guard formats.insert(candidate.format).inserted else {
                throw .candidate(
                    candidate.format.kind, matrix: name, problem: "appears twice")
            }
            try validate(candidate)
        }
    }

    private func validate(_ candidate: Candidate) throws(ManifestError) {
        func fault(_ problem: String) -> ManifestError {
            .candidate(candidate.format.kind, matrix: name, problem: problem)
        }
        guard candidate.format != .dense else { throw fault("is listed, which is understood") }
        try requireFinite(candidate.predictedKL, "predicted_kl")
        if let measured = candidate.measuredKL { try requireFinite(measured, "measured_kl") }
        let region = MatrixRegion(rows: 0..<rows, columns: 0..<columns)
        let parts = try region.parts(of: candidate.format, storing: elementType, matrix: name)
        var (parameters, bytes) = (0, 0)
        for part in parts {
            // A sum of many large terms can exceed `Int`, though no part of it does.
            if part.content == .values { parameters = saturatingSum(parameters, part.count) }
            bytes = saturatingSum(
                bytes, part.count * part.elementType(storing: elementType).byteCount)
        }
        guard parameters <= rows * columns else {
            throw fault("takes more values than the matrix has")
        }
        guard candidate.parameters == parameters else {
            throw fault("says \(candidate.parameters) parameters; its format takes \(parameters)")
        }
        guard candidate.bytes == bytes else {
            throw fault("says \(candidate.bytes) bytes; its format takes \(bytes)")
        }
    }

    private func requireFinite(_ value: Double, _ key: String) throws(ManifestError) {
        guard value.isFinite, value >= 0 else {
            throw .number(key, value, matrix: name, expected: "a finite number from 0")
        }
    }
}

private func saturatingSum(_ a: Int, _ b: Int) -> Int {
    let (sum, overflow) = a.addingReportingOverflow(b)
    return overflow ? Int.max : sum
}
