import Artifacts
import Tensors

/// Where a model's tensors come from.
package enum WeightSource {
    case checkpoint(Checkpoint)
    /// Made on the spot: for measuring what work on a model of some shape takes, without the model.
    case random(RandomModel)
    /// Held in memory under a checkpoint's names, as training holds them.
    case tensors([String: Tensor], CompressionManifest?)

    var manifest: CompressionManifest? {
        switch self {
        case .checkpoint(let checkpoint): checkpoint.manifest
        case .random(let model): model.manifest
        case .tensors(_, let manifest): manifest
        }
    }

    /// The type that a tensor is stored in; `nil` where there is no such tensor.
    package func elementType(_ name: String) -> ElementType? {
        switch self {
        case .checkpoint(let checkpoint): checkpoint.info(name)?.elementType
        case .random(let model): model.configuration.elementType ?? .bfloat16
        case .tensors(let tensors, _): tensors[name]?.elementType
        }
    }
}

extension WeightSource {
    /// What stands for the matrices that are compressed.
    package var compressedPatches: [CompressedPatch] { manifest?.matrices.flatMap(\.patches) ?? [] }

    /// Bytes of each of the model's tensors with values of `type`, quantised ones of one byte, and row numbers and
    /// scales of 4 bytes; what several layers share is there once.
    package func byteCounts(
        _ configuration: ModelConfiguration, as type: ElementType
    ) throws(ManifestError) -> [Int] {
        let matrices = manifest?.matrices ?? []
        let compressed = Set(matrices.map { "\($0.name).weight" })
        var counts = configuration.expectedTensors.filter { !compressed.contains($0.name) }
            .map { $0.shape.reduce(type.byteCount, *) }
        var seen: Set<String> = []
        for matrix in matrices {
            for patch in matrix.patches {
                let held = patch.elementType.isQuantized ? patch.elementType : type
                for (part, tensor) in try patch.declaredParts(matrix: matrix.name)
                where seen.insert(tensor.name).inserted {
                    counts.append(
                        tensor.shape.reduce(part.elementType(storing: held).byteCount, *))
                }
            }
        }
        return counts
    }
}
