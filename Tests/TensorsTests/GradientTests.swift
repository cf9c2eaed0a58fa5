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

    @Test(
        "a rotation is the one that its formula says, and its gradient is what autograd finds for the formula"
    )
    func rotation() throws {
        let angles = try Tensor.normal([5, 1, 3], seed: 3, .float64)
        let (cosines, sines) = (try angles.cos(), try angles.sin())
        func formula(_ x: Tensor) throws -> Tensor {
            let (a, b) = (try x.narrowed(3, 0..<3), try x.narrowed(3, 3..<6))
            return try Tensor.concatenated(
                [a * cosines - b * sines, b * cosines + a * sines], along: 3)
        }
        let x = try Tensor.normal([2, 5, 4, 6], seed: 1, .float64).requiringGradient()
        let upstream = try Tensor.normal([2, 5, 4, 6], seed: 2, .float64)
        let (turned, expected) = (try x.rotated(cosines: cosines, sines: sines), try formula(x))
        let difference = try (turned - expected).squared().sum().scalar()
        #expect(difference < 1e-28)
        let gradient = try turned.gradients(for: [x], upstream: upstream)[0]
        let reference = try expected.gradients(for: [x], upstream: upstream)[0]
        #expect(try (gradient - reference).squared().sum().scalar() < 1e-28)
        #expect(
            try withoutGradients { try x.rotated(cosines: cosines, sines: sines).requiresGradient }
                == false)
        // An upstream gradient that does not lie in memory in the order of its dimensions.
        let strided = try x.rotated(cosines: cosines, sines: sines).transposed(1, 2)
            .gradients(for: [x], upstream: upstream.transposed(1, 2).copied())[0]
        #expect(try (strided - reference).squared().sum().scalar() < 1e-28)
    }

    @Test("float32 products of bfloat16 matrices are not rounded to bfloat16")
    func floatProducts() throws {
        let (x, w) = (
            try Tensor.normal([3, 64], seed: 4, .float32).converted(to: .bfloat16),
            try Tensor.normal([5, 64], seed: 5, .float32).converted(to: .bfloat16)
        )
        let product = try x.linearInFloat32(w)
        #expect(product.elementType == .float32)
        let exact = try x.converted(to: .float32).linear(w.converted(to: .float32))
        #expect(try (product - exact).squared().sum().scalar() < 1e-8)
    }
}
