import Testing

@testable import Tensors

@Suite("Gradients")
struct GradientTests {
    @Test("backward agrees with central differences")
    func differences() throws {
        func loss(_ x: Tensor) throws -> Tensor {
            try (x.matmul(x).silu().softmax() * x.sin()).sum()
        }
        let x = try Tensor.normal([3, 3], seed: 9, .float64).requiringGradient()
        try loss(x).backward()
        let gradient = try #require(try x.gradient()).elements(as: Double.self)
        let values = try x.detached().elements(as: Double.self)
        for index in values.indices {
            let step = 1e-5
            var (up, down) = (values, values)
            up[index] += step
            down[index] -= step
            let slope =
                (try loss(try Tensor(up, shape: [3, 3])).scalar()
                    - loss(try Tensor(down, shape: [3, 3])).scalar()) / (2 * step)
            #expect(abs(slope - gradient[index]) < 1e-8)
        }
    }

    @Test("gradients(for:) leaves accumulated gradients alone; clearing removes them")
    func functional() throws {
        let x = try Tensor.ones([2]).requiringGradient()
        let found = try (x * 3).sum().gradients(for: [x])
        #expect(try found[0].elements(as: Float.self) == [3, 3])
        #expect(try x.gradient() == nil)
        try (x * 2).sum().backward()
        try (x * 2).sum().backward()
        #expect(try x.gradient()?.elements(as: Float.self) == [4, 4])
        try x.clearGradient()
        #expect(try x.gradient() == nil)
    }

    @Test("nothing is recorded inside withoutGradients")
    func switchedOff() throws {
        let x = try Tensor.ones([2]).requiringGradient()
        #expect(try withoutGradients { try (x * 2).requiresGradient } == false)
        #expect(try (x * 2).requiresGradient)
    }
}
