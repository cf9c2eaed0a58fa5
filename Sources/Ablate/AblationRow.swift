import Compare

/// Rows of the ablation, in order: each is the one above and one thing more, the dense model by kernels apart.
package enum AblationRow: String, CaseIterable, Sendable {
    case dense
    case denseKernels = "dense-kernels"
    case uniform
    case sensitivity
    case mixedFormats = "mixed-formats"
    case healing
    case kernels
    case speculation

    /// One line.
    package var summary: String {
        switch self {
        case .dense: "the model as it came, decoded by libtorch"
        case .denseKernels:
            "the model as it came, decoded by this program's own kernels: what speeds are to be held against"
        case .uniform: "low rank, whitened by the input moments, the same share of every matrix"
        case .sensitivity: "+ ranks planned by sensitivity"
        case .mixedFormats:
            "+ every format of the map, two-sided and anchored: what minima compress --keep does"
        case .healing: "+ a short training towards the dense model's predictions"
        case .kernels:
            "+ the same model decoded by this program's own kernels, on a CPU its own loops"
        case .speculation: "+ a draft that guesses ahead; the text is the same"
        }
    }

    /// How its checkpoint is compressed, where it is one that is only compressed.
    var method: ComparedMethod? {
        switch self {
        case .uniform: .ablation(named: "uniform")
        case .sensitivity: .ablation(named: "sensitivity")
        case .mixedFormats: .minima
        case .dense, .denseKernels, .healing, .kernels, .speculation: nil
        }
    }

    /// Whether its tokens come from kernels of this program, and not from libtorch.
    var usesKernels: Bool { [.denseKernels, .kernels, .speculation].contains(self) }
}
