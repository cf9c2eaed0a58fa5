import CCUDA
import Tensors

/// What a graph of a draft's passes is made for.
struct DraftShape: Hashable {
    let sequences: Int
    /// Columns of each in the first pass: tokens whose features are new. Later passes have one.
    let rowsEach: Int
    /// Tokens that are guessed one behind the other; 0 where states alone are wanted.
    let chain: Int
    /// Pieces of 512 tokens that the longest sequence has, at least; a power of two.
    let splits: Int

    var columns: Int { sequences * rowsEach }
    /// Blocks that a sequence's table has.
    var blocksEach: Int { splits * Int(SPLIT_TOKENS / BLOCK_TOKENS) }
    /// Positions that tokens are computed at, of all passes.
    var positions: Int { columns + max(0, chain - 1) * sequences }
}

/// What the host says about a draft's passes, in one piece of memory whose parts stand where the shape says: the passes one
/// behind the other, so that all of them go to the GPU in one copy.
struct DraftParameters {
    let shape: DraftShape
    /// Half of a head's dimensions.
    private let half: Int

    private static let choiceValues = MemoryLayout<SampleChoice>.stride / 4

    init(_ shape: DraftShape, headDim: Int) { (self.shape, half) = (shape, headDim / 2) }

    // MARK: Places, in 4-byte values

    /// Addresses of 8 bytes of each column of the first pass; at 0, and choices behind it, at multiples of 8 bytes.
    var rows: Int { 0 }
    private var choices: Int { 2 * shape.columns }
    var tokens: Int { choices + shape.chain * shape.sequences * Self.choiceValues }
    /// Of each sequence its last column in the first pass.
    var lasts: Int { tokens + shape.columns }
    private var positions: Int { lasts + shape.sequences }
    private var cosines: Int { positions + shape.positions }
    private var sines: Int { cosines + shape.positions * half }
    /// Blocks of each sequence, `rowsEach · blocksEach` values from one to the next: the first pass' columns are a table each
    /// apart.
    var tables: Int { sines + shape.positions * half }
    /// All values.
    var count: Int { tables + shape.columns * shape.blocksEach }

    /// - Parameter pass: of the chain, from 0 on.
    func choices(ofPass pass: Int) -> Int { choices + pass * shape.sequences * Self.choiceValues }
    func positions(ofPass pass: Int) -> Int { positions + first(of: pass) }
    func cosines(ofPass pass: Int) -> Int { cosines + first(of: pass) * half }
    func sines(ofPass pass: Int) -> Int { sines + first(of: pass) * half }
    /// Values of a table, for the attention of a pass.
    func tableStride(ofPass pass: Int) -> Int {
        pass == 0 ? shape.blocksEach : shape.rowsEach * shape.blocksEach
    }

    /// Of a pass its first column among those of all.
    private func first(of pass: Int) -> Int {
        pass == 0 ? 0 : shape.columns + (pass - 1) * shape.sequences
    }

    // MARK: Values

    /// A sequence's part of a draft.
    struct Sequence {
        /// Address of the features of each token, float32, and the token behind it.
        let features: [UInt64]
        let tokens: [Int32]
        /// Position of the first.
        let start: Int
        let blocks: [Int]
        /// Of as many tokens as the chain has.
        let choices: [SampleChoice]

        var end: Int { start + tokens.count }
    }

    /// float32, of all positions, `[positions · headDim / 2]`.
    struct Angles {
        let cosines: [Float]
        let sines: [Float]
    }

    /// - Parameter spare: a block that nobody reads, for states beyond a sequence's own blocks.
    func values(of sequences: [Sequence], _ angles: Angles, spare: Int) -> [UInt32] {
        precondition(sequences.count == shape.sequences, "as many as the graph is made for")
        return [UInt32](unsafeUninitializedCapacity: count) { buffer, initialized in
            initialized = count
            buffer.initialize(repeating: 0)
            for (index, sequence) in sequences.enumerated() {
                let first = index * shape.rowsEach
                for row in 0..<shape.rowsEach {
                    guard row < sequence.tokens.count else {
                        buffer[positions + first + row] = UInt32(bitPattern: -1)
                        continue
                    }
                    let address = sequence.features[row]
                    buffer[rows + 2 * (first + row)] = UInt32(truncatingIfNeeded: address)
                    buffer[rows + 2 * (first + row) + 1] = UInt32(address >> 32)
                    buffer[tokens + first + row] = UInt32(bitPattern: sequence.tokens[row])
                    turn(first + row, to: sequence.start + row, angles, buffer)
                }
                buffer[lasts + index] = UInt32(first + sequence.tokens.count - 1)
                for pass in 1..<max(1, shape.chain) {
                    turn(self.first(of: pass) + index, to: sequence.end + pass - 1, angles, buffer)
                }
                let table = tables + first * shape.blocksEach
                for place in 0..<shape.rowsEach * shape.blocksEach {
                    let isOwn = place < shape.blocksEach && place < sequence.blocks.count
                    buffer[table + place] = UInt32(isOwn ? sequence.blocks[place] : spare)
                }
                for pass in 0..<shape.chain {
                    let place = choices(ofPass: pass) + index * Self.choiceValues
                    UnsafeMutableRawBufferPointer(buffer).storeBytes(
                        of: sequence.choices[pass], toByteOffset: 4 * place, as: SampleChoice.self)
                }
            }
        }
    }

    /// Says where a column of all passes stands. There are dozens of angles of hundreds of columns: they are copied whole.
    private func turn(
        _ column: Int, to position: Int, _ angles: Angles,
        _ buffer: UnsafeMutableBufferPointer<UInt32>
    ) {
        buffer[positions + column] = UInt32(position)
        let bytes = UnsafeMutableRawBufferPointer(buffer)
        for (values, place) in [(angles.cosines, cosines), (angles.sines, sines)] {
            let to = 4 * (place + column * half)
            values.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: bytes[to..<to + 4 * half]).copyMemory(
                    from: UnsafeRawBufferPointer(
                        rebasing: $0[4 * position * half..<4 * (position + 1) * half]))
            }
        }
    }
}
