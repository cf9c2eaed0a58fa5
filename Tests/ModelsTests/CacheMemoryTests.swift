import Tensors
import Testing

@testable import Models

@Suite("Keys and values in e4m3")
struct CacheMemoryTests {
    private let shape = [3, 2, 4, 16]

    @Test("what is written is read, within half a unit of four significant bits of the largest")
    func roundTrip() throws {
        let memory = try CacheMemory(shape: shape, as: .float8e4m3, on: .cpu, noise: nil)
        let source = try Tensor.normal([5, 16], seed: 3) * 7
        let rows = [0, 5, 8, 11, 23]
        try memory.write(source, at: Tensor(rows))
        // Every block in order: rows stand as they were counted.
        let all = try memory.read(Tensor([0, 1, 2]), tokens: 12)
        #expect(all.shape == [1, 2, 12, 16])
        for (index, row) in rows.enumerated() {
            let (block, head, token) = (row / 8, row / 4 % 2, row % 4)
            let found = try all.selected(0, 0).selected(0, head).selected(0, block * 4 + token)
                .elements(as: Float.self)
            let expected = try source.selected(0, index).elements(as: Float.self)
            let largest = expected.map(abs).max() ?? 0
            for (a, b) in zip(found, expected) {
                #expect(abs(a - b) <= max(abs(b) / 16, largest / 448 / 1_024))
            }
        }
    }

    @Test("nothing written is zero, and a head of zeros is kept")
    func zeros() throws {
        let memory = try CacheMemory(shape: shape, as: .float8e4m3, on: .cpu, noise: nil)
        try memory.write(Tensor.zeros([1, 16]), at: Tensor([4]))
        let all = try memory.read(Tensor([0, 1, 2]), tokens: 12).elements(as: Float.self)
        #expect(all.allSatisfy { $0 == 0 })
    }

    @Test("other types are kept as they are")
    func plain() throws {
        let memory = try CacheMemory(shape: shape, as: .bfloat16, on: .cpu, noise: nil)
        let source = try Tensor.normal([1, 16], seed: 5).converted(to: .bfloat16)
        try memory.write(source, at: Tensor([9]))
        let found = try memory.read(Tensor([1]), tokens: 4).selected(0, 0).selected(0, 0)
            .selected(0, 1)
        #expect(memory.scales == nil)
        #expect(
            try found.elements(as: Float.self) == source.selected(0, 0).elements(as: Float.self))
    }
}
