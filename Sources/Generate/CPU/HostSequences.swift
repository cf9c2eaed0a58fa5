import CDecode
import Tensors

/// New tokens of sequences as C reads them: each its blocks, its position and its angles.
struct HostSequences {
    /// The first token's position, the tokens, and the blocks of all positions.
    typealias Piece = (start: Int, count: Int, blocks: [Int])

    private let pieces: [Piece]
    private let blocks: [Int64]
    private let cosines: [Float]
    private let sines: [Float]
    private let half: Int

    /// - Parameter angles: of the tokens' positions in their order, `[tokens, 1, headDim / 2]`.
    init(_ pieces: [Piece], _ angles: (cosines: Tensor, sines: Tensor)) throws {
        self.pieces = pieces
        blocks = pieces.flatMap { $0.blocks.map(Int64.init) }
        cosines = try angles.cosines.elements(as: Float.self)
        sines = try angles.sines.elements(as: Float.self)
        half = angles.cosines.shape[2]
    }

    /// Calls `body` with a sequence for each token.
    func lend(_ body: ([cd_sequence]) throws -> Void) throws {
        try blocks.withUnsafeBufferPointer { blocks in
            try cosines.withUnsafeBufferPointer { cosines in
                try sines.withUnsafeBufferPointer { sines in
                    var (first, row) = (0, 0)
                    let sequences = pieces.flatMap { piece in
                        defer { first += piece.blocks.count }
                        return (piece.start..<piece.start + piece.count).map { position in
                            defer { row += 1 }
                            return cd_sequence(
                                blocks: blocks.baseAddress.map { $0 + first },
                                position: Int64(position),
                                cosines: cosines.baseAddress.map { $0 + row * half },
                                sines: sines.baseAddress.map { $0 + row * half })
                        }
                    }
                    try body(sequences)
                }
            }
        }
    }
}
