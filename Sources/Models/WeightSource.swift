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
        case .random: nil
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
