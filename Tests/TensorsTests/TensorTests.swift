import Testing

@testable import Tensors

@Suite("Tensor")
struct TensorTests {
    @Test func matmul() throws {
        let a = try Tensor([1, 2, 3, 4] as [Float], shape: [2, 2])
        #expect(try a.matmul(a).elements(as: Float.self) == [7, 10, 15, 22])
    }
}
