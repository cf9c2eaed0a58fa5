import Artifacts
import Tensors

/// How many windows go through a model at once, and whether its blocks are run twice for it: by counting
/// what the recorded operations keep of every token.
struct TrainingMemory {
    let windowsAtOnce: Int
    let checkpointsBlocks: Bool

    /// Bytes of activations that are aimed at.
    private static func budget(on device: Device) -> Int {
        device == .cpu ? 1 << 30 : 24 << 30
    }

    /// - Parameter processes: that share a step's windows.
    init(
        _ configuration: ModelConfiguration, _ settings: TrainingSettings, type: ElementType,
        processes: Int = 1, on device: Device
    ) {
        let budget = Self.budget(on: device)
        let block = Self.valuesPerToken(configuration) * type.byteCount
        let layers = configuration.layerCount
        let kept = configuration.hiddenSize * type.byteCount * (settings.weights.hidden > 0 ? 3 : 2)
        let whole = settings.window * layers * (block + kept)
        checkpointsBlocks = settings.checkpointsBlocks ?? (whole > budget)
        let perWindow =
            checkpointsBlocks ? settings.window * (layers * kept + block) : whole
        let tokens = settings.microBatchTokens ?? budget / max(1, perWindow) * settings.window
        let windows = (settings.windowsPerStep + processes - 1) / processes
        let most = min(max(1, tokens / settings.window), windows)
        // Pieces of about the same size.
        let pieces = (windows + most - 1) / most
        windowsAtOnce = (windows + pieces - 1) / pieces
    }

    /// Values that autograd keeps of a token in a block: inputs of norms and products, what rotation and
    /// attention read and wrote, gate, its activation, up and their product.
    private static func valuesPerToken(_ configuration: ModelConfiguration) -> Int {
        6 * configuration.hiddenSize + 5 * configuration.queryWidth
            + 8 * configuration.keyValueWidth + 5 * configuration.intermediateSize
    }
}
