import Kernels
import Tensors

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

    /// Columns that `linear.cu` can be compiled for.
    static let columns = [1, 2, 4, 8, 16, 32, 56]
    static let linearWarps = 8
    static let attentionWarps = 4
    /// What a block declares itself, and what the driver keeps of its memory.
    private static let reserved = 3_072

    /// What a kernel for `count` columns is compiled for.
    static func columnsCompiled(for count: Int) -> Int {
        guard let columns = columns.first(where: { $0 >= count }) else {
            preconditionFailure("\(count) columns are more than a step has")
        }
        return columns
    }

    /// Tiles of sixteen rows that a pass has at most: as many as there are registers for sums. The more there are, the
    /// less of the input is read again.
    /// - Parameter columns: that a kernel is compiled for.
    static func tiles(columns: Int, _ weights: ElementType) -> Int {
        columns <= (weights == .bfloat16 ? 32 : 16) ? 8 : 4
    }

    /// Tiles of weights and chunks of the input that a warp has under way, and tiles that are asked for before the
    /// input: measured on an H200 (LOG.md).
    private struct Rings {
        var tiles: Int
        var inputs: Int
        var early: Int
    }

    /// Where copy engines bring the input, by columns; at one byte a weight a tile has twice the terms.
    private static func rings(columns: Int, bytes: Int) -> Rings {
        switch (columns, bytes) {
        case (...1, 2): Rings(tiles: 11, inputs: 12, early: 5)
        case (...2, 2): Rings(tiles: 11, inputs: 10, early: 5)
        case (...4, 2): Rings(tiles: 11, inputs: 8, early: 5)
        case (...8, 2): Rings(tiles: 9, inputs: 7, early: 4)
        case (...16, 2): Rings(tiles: 7, inputs: 4, early: 3)
        case (...32, 2): Rings(tiles: 5, inputs: 3, early: 2)
        case (_, 2): Rings(tiles: 6, inputs: 1, early: 2)
        case (...1, _): Rings(tiles: 9, inputs: 12, early: 2)
        case (...2, _): Rings(tiles: 10, inputs: 8, early: 2)
        case (...4, _): Rings(tiles: 10, inputs: 6, early: 2)
        case (...8, _): Rings(tiles: 8, inputs: 4, early: 2)
        case (...16, _): Rings(tiles: 6, inputs: 3, early: 2)
        case (...32, _): Rings(tiles: 3, inputs: 2, early: 2)
        default: Rings(tiles: 2, inputs: 1, early: 1)
        }
    }

    /// Bytes of a tile of weights.
    private static let tile = 2_048
    /// Tiles of eight columns whose sums meet at once: the more, the fewer times warps wait for one another.
    private static func unit(columns: Int, _ available: Int) -> Int {
        columns > 16 && available > 200_000 ? 2 : 1
    }

    /// Bytes in which the warps' sums meet, two times in turn, and of which rings may have to leave some out: boxes begin
    /// at multiples of 1,024.
    private static func besideRings(columns: Int, _ available: Int) -> Int {
        2 * unit(columns: columns, available) * linearWarps * 8 * 36 * 4 + 1_024
    }

    /// Bytes of a chunk of the input.
    private static func chunk(columns: Int, _ weights: ElementType) -> Int {
        columns * 256 / weights.byteCount
    }

    /// Bytes that a warp's rings can have.
    private static func room(columns: Int, _ available: Int) -> Int {
        (available - besideRings(columns: columns, available) - reserved) / linearWarps
    }

    /// Columns that a product can have where a block has `available` bytes of shared memory: one tile and one chunk of
    /// the input must fit.
    static func mostColumns(weights: ElementType, available: Int) -> Int {
        let fitting = columns.filter {
            tile + chunk(columns: $0, weights) <= room(columns: $0, available)
        }
        guard let most = fitting.last else { preconditionFailure("a column fits on every GPU") }
        return most
    }

    /// - Parameters:
    ///   - columns: of the input, at most the last of `columns`.
    ///   - weights: bfloat16, int8 or float8e4m3.
    ///   - hasCopyEngine: of tensor maps (compute capability 9.0).
    ///   - available: bytes of shared memory that a block can have.
    static func linear(
        columns: Int, weights: ElementType = .bfloat16, hasCopyEngine: Bool, available: Int
    ) -> KernelVariant {
        let most = columnsCompiled(for: columns)
        let (chunk, room) = (chunk(columns: most, weights), room(columns: most, available))
        var rings = Self.rings(columns: most, bytes: weights.byteCount)
        if !hasCopyEngine {
            // The ring of the input has to hold a chunk for every tile under way.
            rings.tiles = max(1, min(11, room / (tile + chunk)))
            rings.inputs = rings.tiles
        }
        while rings.tiles * tile + rings.inputs * chunk > room {
            precondition(rings.tiles > 1 || rings.inputs > 1, "more columns than `mostColumns`")
            if rings.tiles > 2 || rings.inputs == 1 { rings.tiles -= 1 } else { rings.inputs -= 1 }
        }
        return KernelVariant(
            source: .linear, function: "linear",
            defines: [
                "COLUMNS": "\(most)", "STAGES": "\(rings.tiles)", "INPUTS": "\(rings.inputs)",
                "EARLY": "\(min(rings.early, rings.tiles - 1))", "WEIGHT": "\(weights.byteCount)",
                "IS_FLOAT": weights == .float8e4m3 ? "1" : "0",
                "TILES": "\(tiles(columns: most, weights))",
                "UNIT": "\(unit(columns: most, available))",
            ],
            sharedMemory: linearWarps * (rings.tiles * tile + rings.inputs * chunk)
                + besideRings(columns: most, available))
    }

    /// New tokens of a sequence that attention is compiled for.
    static func tokensCompiled(for count: Int) -> Int {
        guard let tokens = [1, 2, 4, 8].first(where: { $0 >= count }) else {
            preconditionFailure("\(count) tokens of a sequence are more than attention takes")
        }
        return tokens
    }

    /// Tiles of sixteen rows of a sequence and a key's head, a row being one of its query heads and a new token.
    static func attentionTiles(group: Int, tokens: Int) -> Int { (group * tokens + 15) / 16 }

    /// Rows that a thread block of attention takes: two tiles read keys and values once for both, one tile leaves room for
    /// more blocks beside it. Measured on an H200 (LOG.md): an odd number of tiles is better taken one by one where keys
    /// and values are short.
    static func attentionRows(
        group: Int, tokens: Int, isQuantized: Bool, isCrowded: Bool
    ) -> Int {
        let tiles = attentionTiles(group: group, tokens: tokens)
        if group * tokens <= 8 { return 8 }
        return tiles > 1 && isCrowded && (tiles % 2 == 0 || !isQuantized) ? 32 : 16
    }

    /// - Parameters:
    ///   - tokens: new ones of a sequence, at most 8.
    ///   - isQuantized: keys and values are e4m3.
    ///   - group: query heads of a key's, at most 16.
    ///   - isCrowded: more blocks than multiprocessors: some of them share one.
    static func attention(
        headDim: Int, group: Int, tokens: Int = 1, isQuantized: Bool, isCrowded: Bool,
        available: Int
    ) -> KernelVariant {
        let rows = attentionRows(
            group: group, tokens: tokens, isQuantized: isQuantized, isCrowded: isCrowded)
        // Where warps' sums meet the queries of one tile stand at first; those of two stand beside it.
        let (meeting, states) = (2 * rows * headDim * 4, rows * 16)
        let queries = rows > 16 ? rows * headDim * 2 : 0
        let bytes = isQuantized ? 1 : 2
        let stage = attentionWarps * (2 * 16 * headDim * bytes + (isQuantized ? 128 : 0))
        let room = available - meeting - states - queries - reserved
        let stages = min(isCrowded ? 2 : 3, room / stage)
        return KernelVariant(
            source: .attention, function: "attention",
            defines: [
                "D": "\(headDim)", "KV_BYTES": "\(bytes)", "STAGES": "\(stages)",
                "WARPS": "\(attentionWarps)", "BLOCKS": isCrowded && rows <= 16 ? "3" : "2",
                "TOKENS": "\(tokensCompiled(for: tokens))", "ROWS": "\(rows)",
            ], sharedMemory: stages * stage + meeting + states + queries)
    }
}
