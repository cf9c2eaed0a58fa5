import Tensors
import Testing

@testable import TensorNetworks

@Suite("Rounded networks")
struct RoundingTests {
    @Test(
        "a low-rank pair fitted to its own rounding is nearer than one rounded blindly",
        arguments: [1, 2, 3])
    func refit(seed: UInt64) throws {
        let weight = try Tensor.normal([48, 64], seed: seed, .float64)
        let x =
            try Tensor.normal([64, 200], seed: seed + 10, .float64)
            * (try Tensor.range(1, to: 65, .float64).power(-0.7).unsqueezed(1))
        let moment = try x.matmul(x.transposed())
        let objective = try FitObjective(weight: weight, input: moment)
        let (exact, best) = try Factorization.fit(objective, format: .lowRank(rank: 40))
        let blind = try exact.mapTensors { try $0.converted(to: .bfloat16) }
        let fitted = try exact.stored(as: .bfloat16, for: objective)
        func error(_ network: Factorization) throws -> Double {
            let values = try network.mapTensors { try $0.converted(to: .float64) }
            return try objective.relativeError(of: values.reconstructed())
        }
        #expect(fitted.parts.allSatisfy { $0.tensor.elementType == .bfloat16 })
        #expect(try error(fitted) < error(blind))
        #expect(try error(fitted) >= best)
    }
}
