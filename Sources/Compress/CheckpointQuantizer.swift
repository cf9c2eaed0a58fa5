import Artifacts
import Models
import TensorNetworks
import Tensors

/// Quantises the matrices of a checkpoint, each towards what it is.
final class CheckpointQuantizer {
    private let loader: WeightLoader
    private let manifest: CompressionManifest?
    /// Tensors that more than one matrix is stored in.
    private let shared: Set<String>
    private let weights: ElementType
    private let rounding: WeightRounding
    private let device: Device
    /// Shared input factors, once they are quantised.
    private var inputs: [String: QuantizedMatrix] = [:]

    init(
        checkpoint: Checkpoint, shared: Set<String>, weights: ElementType,
        rounding: WeightRounding, on device: Device
    ) {
        loader = WeightLoader(checkpoint, as: .float64, on: device)
        manifest = checkpoint.manifest
        self.shared = shared
        self.weights = weights
        self.rounding = rounding
        self.device = device
    }

    /// - Parameters:
    ///   - matrix: as it will be stored.
    ///   - moment: of the layer's inputs; `nil` is the identity.
    /// - Returns: one network for each patch, and what the matrix lost.
    func quantized(
        _ module: LinearModule, _ matrix: CompressedMatrix, _ moment: SecondMoment?
    ) throws -> (patches: [QuantizedNetwork], record: CompressionReport.Matrix) {
        let weight =
            try manifest?.matrix(module.name).map { try loader.weight(of: $0) }
            ?? .dense(loader.tensor(module.weight.name))
        let objective = try FitObjective(weight: weight.dense(), moment: moment)
        var parts: [(MatrixRegion, Linear.Weight)]
        if case .patches(let patched) = weight {
            parts = patched.patches.map { ($0.region, $0.weight) }
        } else {
            parts = [(matrix.patches[0].region, weight)]
        }
        let networks = try zip(matrix.patches, parts).map { stored, part in
            let own = try objective.patch(
                rows: part.0.rows, columns: part.0.columns, given: nil)
            return try quantized(part.1, stored, own)
        }
        let patched = PatchedMatrix(
            rows: module.rows, columns: module.columns,
            patches: try zip(matrix.patches, networks).map {
                PatchedMatrix.Patch(
                    $0.region, try Linear.Weight(widening: $1, to: .float64))
            })
        TorchRuntime.releaseUnusedMemory()
        return (
            networks,
            CompressionReport.Matrix(
                name: module.name, rows: module.rows, columns: module.columns,
                formats: matrix.patches.map(\.format),
                parameters: networks.reduce(0) { $0 + $1.parameterCount },
                relativeError: try objective.relativeError(of: patched.dense()))
        )
    }

    /// Takes the shared factors of a matrix that was quantised before from its file, if they are there.
    func remember(_ matrix: CompressedMatrix, from file: SafetensorsFile) throws {
        let names = Set(file.tensors.map(\.name))
        for patch in matrix.patches {
            guard let name = patch.tensors[Format.inputPart], shared.contains(name),
                names.contains(name)
            else { continue }
            inputs[name] = try QuantizedMatrix(
                elements: file.tensor(named: name),
                scales: file.tensor(named: Format.scales(of: name)), name: name
            ).moved(to: device)
        }
    }

    private func quantized(
        _ weight: Linear.Weight, _ stored: CompressedPatch, _ objective: FitObjective
    ) throws -> QuantizedNetwork {
        switch weight {
        case .dense(let matrix):
            return try QuantizedNetwork(
                quantizing: matrix, as: weights, for: objective, rounding)
        case .network(.lowRank(let pair)):
            guard let name = stored.tensors[Format.inputPart], shared.contains(name) else {
                return try Factorization.lowRank(pair).quantized(
                    as: weights, for: objective, rounding)
            }
            let input =
                try inputs[name]
                ?? pair.quantizedInput(as: weights, for: objective, rounding)
            inputs[name] = input
            return try pair.quantized(sharing: input, for: objective, rounding)
        case .network(let network):
            return try network.quantized(as: weights, for: objective, rounding)
        case .quantized, .patches:
            preconditionFailure("patches are neither patched nor quantised yet")
        }
    }
}

extension CompressedMatrix {
    /// The same with values of one byte, whose scales are named after them.
    func storing(as type: ElementType) throws(ManifestError) -> CompressedMatrix {
        var patches: [CompressedPatch] = []
        for patch in self.patches {
            var tensors = patch.tensors
            for (part, _) in try patch.declaredParts(matrix: name) where part.content == .values {
                guard let stored = tensors[part.name] else {
                    preconditionFailure("a part that is declared has a name")
                }
                tensors[Format.scales(of: part.name)] = Format.scales(of: stored)
            }
            patches.append(
                CompressedPatch(patch.region, patch.format, as: type, tensors: tensors))
        }
        return CompressedMatrix(name: name, rows: rows, columns: columns, patches: patches)
    }
}

extension CompressionManifest {
    /// Every tensor that some matrix is stored in, once.
    func declarations() throws(ManifestError) -> [TensorInfo] {
        var (seen, all): (Set<String>, [TensorInfo]) = ([], [])
        for matrix in matrices {
            for patch in matrix.patches {
                for info in try patch.declarations(matrix: matrix.name)
                where seen.insert(info.name).inserted {
                    all.append(info)
                }
            }
        }
        return all
    }

    /// Values of the matrices; what several share counts once.
    func parameterCount() throws(ManifestError) -> Int {
        var all = 0
        for matrix in matrices {
            for patch in matrix.patches {
                for (part, _) in try patch.declaredParts(matrix: matrix.name)
                where part.content == .values {
                    all += part.count
                }
            }
        }
        return all - (try repeatedParameterCount())
    }
}
