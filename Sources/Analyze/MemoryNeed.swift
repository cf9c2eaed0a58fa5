import Artifacts

/// What running a model takes on a GPU besides its tensors, in bytes. An upper estimate: a plan that
/// fits by it should run.
package struct MemoryNeed: Hashable, Sendable {
    package static let mostSequences = 1 << 16
    /// bfloat16.
    static let bytesPerCachedValue = 2
    /// Tokens of a prompt that are computed at once; a longer one is computed in pieces.
    static let prefillTokens = 2_048
    /// CUDA context, loaded kernels, cuBLAS workspaces and the allocator's unused remainders. An
    /// allowance, not a measurement.
    static let runtimeBytes = 1 << 30

    /// Keys and values of every position: 2 · layers · heads · width · context · sequences values.
    /// Sliding windows are not counted on.
    package let keyValueBytes: Int
    /// Logits, activations and the runtime.
    ///
    /// - Logits: per sequence two float32 per word, the logits and their sorted copy or
    ///   probabilities.
    /// - Activations: of `prefillTokens` tokens (or of one per sequence, if that is more), 4 bytes
    ///   each: the residual stream, its norm and a block's output; queries, keys, values and the
    ///   attention's output; gate, up and their product. Attention scores are never held whole.
    /// - `runtimeBytes`.
    package let workingBytes: Int

    /// - Parameters:
    ///   - context: tokens of each sequence.
    ///   - concurrency: sequences at a time.
    package init(
        _ configuration: ModelConfiguration, context: Int, concurrency: Int
    ) throws(PlanError) {
        guard context >= 1, context <= configuration.maxPositions else {
            throw .context(context, limit: configuration.maxPositions)
        }
        guard (1...Self.mostSequences).contains(concurrency) else {
            throw .concurrency(concurrency)
        }
        // Width ≤ 2^24, layers ≤ 1,000, sequences ≤ 2^16: only the context can lead past `Int`.
        let position =
            2 * configuration.layerCount * configuration.keyValueWidth * Self.bytesPerCachedValue
        let (cache, overflow) = (position * concurrency).multipliedReportingOverflow(by: context)
        guard !overflow else {
            throw .absurdMemory(context: context, concurrency: concurrency)
        }
        keyValueBytes = cache

        let logits = 2 * 4 * concurrency * configuration.vocabularySize
        let tokens = max(concurrency, min(Self.prefillTokens, context * concurrency))
        let widths =
            3 * configuration.hiddenSize + 3 * configuration.intermediateSize
            + 2 * configuration.queryWidth + 2 * configuration.keyValueWidth
        workingBytes = logits + 4 * tokens * widths + Self.runtimeBytes
    }
}
