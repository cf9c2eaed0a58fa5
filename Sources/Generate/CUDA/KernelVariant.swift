import Kernels

/// A kernel for sizes that are known when it is compiled, with as much in flight as a multiprocessor's memory holds.
struct KernelVariant: Hashable {
    let source: KernelSource
    let function: String
    let defines: [String: String]
    /// Bytes of a thread block.
    let sharedMemory: Int

    /// The text of a source is as long as its name is telling.
    func hash(into hasher: inout Hasher) {
        hasher.combine(source.name)
        hasher.combine(defines)
    }

    /// Columns that a product can be compiled for; a step has no more sequences than the last says.
    static let columns = [1, 2, 4, 8, 16, 32, 56]
    static let linearWarps = 8
    static let attentionWarps = 4
    /// What a block declares itself, and what the driver keeps of its memory.
    private static let reserved = 3_072

    /// - Parameters:
    ///   - columns: of the input, at most the last of `columns`.
    ///   - available: bytes of shared memory that a block can have.
    static func linear(columns: Int, available: Int) -> KernelVariant {
        guard let most = Self.columns.first(where: { $0 >= columns }) else {
            preconditionFailure("\(columns) columns are more than a step has")
        }
        let sums = linearWarps * 8 * 36 * 4
        let stage = linearWarps * (2_048 + most * 128)
        let stages = max(1, min(11, (available - sums - reserved) / stage))
        return KernelVariant(
            source: .linear, function: "linear",
            defines: ["COLUMNS": "\(most)", "STAGES": "\(stages)"],
            sharedMemory: stages * stage + sums)
    }

    /// - Parameters:
    ///   - isQuantized: keys and values are e4m3.
    ///   - isCrowded: more blocks than multiprocessors: some of them share one.
    static func attention(
        headDim: Int, isQuantized: Bool, isCrowded: Bool, available: Int
    ) -> KernelVariant {
        let (queries, states) = (16 * headDim * 2, attentionWarps * 128)
        let bytes = isQuantized ? 1 : 2
        let stage = attentionWarps * (2 * 16 * headDim * bytes + (isQuantized ? 128 : 0))
        let stages = min(isCrowded ? 2 : 3, (available - queries - states - reserved) / stage)
        return KernelVariant(
            source: .attention, function: "attention",
            defines: [
                "D": "\(headDim)", "KV_BYTES": "\(bytes)", "STAGES": "\(stages)",
                "WARPS": "\(attentionWarps)",
            ], sharedMemory: stages * stage + queries + states)
    }
}
