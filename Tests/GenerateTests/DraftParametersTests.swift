import CCUDA
import Testing

@testable import Generate

@Suite("What a GPU is told of drafts")
struct DraftParametersTests {
    private let angles = DraftParameters.Angles(
        cosines: (0..<2_000 * 32).map(Float.init), sines: (0..<2_000 * 32).map { -Float($0) })

    private func sequence(_ start: Int, rows: Int, blocks: [Int], chain: Int)
        -> DraftParameters.Sequence
    {
        DraftParameters.Sequence(
            features: (0..<rows).map { 0x1234_5678_9000 + UInt64(start + $0) },
            tokens: (0..<rows).map { Int32(start + 7 * $0) }, start: start, blocks: blocks,
            choices: (0..<chain).map { pass in
                var choice = SampleChoice()
                choice.uniform = Double(start) + Double(pass) / 8
                return choice
            })
    }

    @Test(
        "every value stands where the kernels look for it", arguments: [1, 2, 5], [0, 1, 4])
    func places(rowsEach: Int, chain: Int) {
        let shape = DraftShape(sequences: 3, rowsEach: rowsEach, chain: chain, splits: 4)
        let parameters = DraftParameters(shape, headDim: 64)
        let sequences = [
            sequence(0, rows: 1, blocks: [5], chain: chain),
            sequence(1_500, rows: rowsEach, blocks: Array(40..<64), chain: chain),
            sequence(63, rows: max(1, rowsEach - 1), blocks: [7, 9], chain: chain),
        ]
        let values = parameters.values(of: sequences, angles, spare: 99)
        #expect(values.count == parameters.count)
        var seen = Set<Int>()
        func take(_ place: Int) -> UInt32 {
            #expect(seen.insert(place).inserted, "\(place) is two things")
            return values[place]
        }
        func float(_ place: Int) -> Float { Float(bitPattern: take(place)) }
        func expectTurn(_ column: Int, _ pass: Int, _ position: Int) {
            #expect(
                Int32(bitPattern: take(parameters.positions(ofPass: pass) + column)) == position)
            for index in 0..<32 {
                let expected = Float(max(0, position) * 32 + index)
                let place = column * 32 + index
                let isThere = position >= 0
                #expect(
                    float(parameters.cosines(ofPass: pass) + place) == (isThere ? expected : 0))
                #expect(float(parameters.sines(ofPass: pass) + place) == (isThere ? -expected : 0))
            }
        }
        for (index, sequence) in sequences.enumerated() {
            for row in 0..<rowsEach {
                let column = index * rowsEach + row
                let isThere = row < sequence.tokens.count
                let (low, high) = (
                    UInt64(take(parameters.rows + 2 * column)),
                    UInt64(take(parameters.rows + 2 * column + 1))
                )
                #expect(low | high << 32 == (isThere ? sequence.features[row] : 0))
                #expect(
                    Int32(bitPattern: take(parameters.tokens + column))
                        == (isThere ? sequence.tokens[row] : 0))
                expectTurn(column, 0, isThere ? sequence.start + row : -1)
            }
            #expect(
                Int(take(parameters.lasts + index)) == index * rowsEach + sequence.tokens.count - 1)
            for pass in 1..<max(1, chain) { expectTurn(index, pass, sequence.end + pass - 1) }
            // A table is that of a sequence's first column, as wide in a pass as its columns are apart.
            let first = parameters.tables + index * rowsEach * parameters.tableStride(ofPass: 0)
            #expect(first == parameters.tables + index * parameters.tableStride(ofPass: 1))
            for place in 0..<parameters.tableStride(ofPass: 1) {
                let isOwn = place < sequence.blocks.count
                #expect(Int(take(first + place)) == (isOwn ? sequence.blocks[place] : 99))
            }
        }
        for pass in 0..<chain {
            #expect(parameters.choices(ofPass: pass) % 2 == 0, "whole eight bytes")
            values.withUnsafeBytes { bytes in
                for (index, sequence) in sequences.enumerated() {
                    let width = MemoryLayout<SampleChoice>.stride
                    let choice = bytes.loadUnaligned(
                        fromByteOffset: 4 * parameters.choices(ofPass: pass) + index * width,
                        as: SampleChoice.self)
                    #expect(choice.uniform == sequence.choices[pass].uniform)
                }
            }
            for value in 0..<3 * MemoryLayout<SampleChoice>.stride / 4 {
                _ = take(parameters.choices(ofPass: pass) + value)
            }
        }
        #expect(seen.count == parameters.count, "nothing is copied that nobody reads")
    }
}
