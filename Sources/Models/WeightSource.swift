import Artifacts
import Tensors

/// Where a model's tensors come from.
package enum WeightSource {
    case checkpoint(Checkpoint)
    /// Made on the spot: for measuring what work on a model of some shape takes, without the model.
    case random(RandomModel)

    var manifest: CompressionManifest? {
        switch self {
        case .checkpoint(let checkpoint): checkpoint.manifest
        case .random: nil
        }
    }

    /// The type that a tensor is stored in; `nil` where there is no such tensor.
    package func elementType(_ name: String) -> ElementType? {
        switch self {
        case .checkpoint(let checkpoint): checkpoint.info(name)?.elementType
        case .random(let model): model.configuration.elementType ?? .bfloat16
        }
    }
}
