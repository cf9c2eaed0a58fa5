import Kernels
import Models
import TensorNetworks
import Tensors
import Testing

@testable import Generate

@Suite(
    "Products with many columns on a GPU",
    .enabled(if: DeviceTestMachine.hasDevice, "there is no GPU"))
struct DeviceGemmTests {
    private let device = Device.cuda(0)

    private func matrix(_ rows: Int, _ columns: Int, seed: UInt64) throws -> Tensor {
        try (Tensor.normal([rows, columns], seed: seed) * (1 / Double(columns).squareRoot()))
            .converted(to: .bfloat16).moved(to: device)
    }

    /// Rows and terms that fill no tile and no chunk, an odd vocabulary, sums shorter than a slice.
    @Test(
        "a column has the bits that it has among few, and those are right",
        arguments: [
            (1_003, 256), (5_120, 520), (2_616, 5_120), (264, 8_192), (40_000, 72), (72, 24),
        ])
    func columns(rows: Int, columns: Int) throws {
        let dense = try matrix(rows, columns, seed: 1)
        let pair = try LowRank(
            output: matrix(rows, 24, seed: 2), input: matrix(24, columns, seed: 3))
        for weight in [Linear.Weight.dense(dense), .network(.lowRank(pair))] {
            func product(_ x: Tensor) throws -> Tensor {
                try DeviceProduct(
                    [weight], rows: rows, columns: columns, sequences: x.shape[0]
                ).product(x)
            }
            let x = try Tensor.normal([256, columns], seed: 4).converted(to: .bfloat16)
                .moved(to: device)
            var few: [Tensor] = []
            for start in stride(from: 0, to: 256, by: 16) {
                few.append(try product(x.narrowed(0, start..<start + 16)))
            }
            let expected = try Tensor.concatenated(few, along: 0)
            for count in [17, 32, 33, 50, 64, 65, 100, 128, 129, 200, 256] {
                let found = try product(x.narrowed(0, 0..<count))
                #expect(
                    try found.elements(as: Float.self)
                        == expected.narrowed(0, 0..<count).elements(as: Float.self),
                    "\(count) columns")
            }
            let exact = try x.converted(to: .float64)
                .matmul(weight.dense().converted(to: .float64).transposed(0, 1))
            let error =
                try (expected.converted(to: .float64) - exact).norm().scalar()
                / exact.norm().scalar()
            #expect(error < 2 * ElementType.bfloat16.roundoff, "\(error)")
        }
    }
}
