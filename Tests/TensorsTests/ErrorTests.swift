import Foundation
import Testing

@testable import Tensors

@Suite("Tensor errors")
struct ErrorTests {
    @Test("name the operation, the shapes and libtorch's reason")
    func message() throws {
        let a = try Tensor.zeros([2, 3])
        let error = try #require(throws: TensorError.self) { try a.matmul(a) }
        #expect(error.operation == "matmul")
        #expect(error.shapes == [[2, 3], [2, 3]])
        #expect(error.message.contains("cannot be multiplied"))
        #expect(error.description.hasPrefix("matmul of [2, 3], [2, 3] failed: "))
        #expect(!error.description.contains("\n"))
    }

    @Test("an impossible allocation is an error, not a crash")
    func tooLarge() throws {
        let error = try #require(throws: TensorError.self) {
            try Tensor.uninitialized([1 << 45], .float64)
        }
        #expect(error.isOutOfMemory)
    }

    @Test("assignment does not broadcast")
    func assignment() throws {
        let a = try Tensor.zeros([2, 3])
        #expect(throws: TensorError.self) { try a.assign(try Tensor.zeros([3])) }
    }
}

@Suite("Tensor memory", .serialized)
struct MemoryTests {
    /// Resident bytes of this process.
    private func residentBytes() throws -> Int {
        let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(
            separator: " ")
        return (Int(fields[1]) ?? 0) * Int(getpagesize())
    }

    @Test("a million small operations leave no memory behind")
    func noLeak() throws {
        let a = try Tensor.normal([16, 16], seed: 1)
        func round() throws {
            _ = try (a + a).matmul(a - a).transposed().contiguous()
            _ = try? a.reshaped([7, 7])  // the error path owns memory too
            _ = try a.svd().s.sum().scalar()
        }
        for _ in 0..<2_000 { try round() }
        let before = try residentBytes()
        // Twelve calls into libtorch a round, shape queries included.
        for _ in 0..<84_000 { try round() }
        let growth = try residentBytes() - before
        #expect(growth < 16 << 20, "resident memory grew by \(growth) bytes")
    }
}
