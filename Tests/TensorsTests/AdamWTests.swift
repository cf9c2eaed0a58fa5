import Testing

@testable import Tensors

@Suite("AdamW")
struct AdamWTests {
    @Test("the first steps are those of the formula")
    func closedForm() throws {
        let parameter = try Tensor([1.0, -2, 0.5])
        let gradients = [[0.5, -3, 1e-4], [-1.0, 2, 0]]
        let (rate, decay, epsilon) = (0.1, 0.2, 1e-8)
        var optimizer = try AdamW(
            [parameter], learningRate: rate, betas: (0.9, 0.99), epsilon: epsilon,
            weightDecay: decay)
        var expected = try parameter.elements(as: Double.self)
        // Step 1: both moments, freed of their bias, are the gradient's own: a step of ±rate.
        try optimizer.step([Tensor(gradients[0])])
        for (index, g) in gradients[0].enumerated() {
            expected[index] = expected[index] * (1 - rate * decay) - rate * g / (abs(g) + epsilon)
        }
        var found = try parameter.elements(as: Double.self)
        for (a, b) in zip(found, expected) { #expect(abs(a - b) < 1e-14) }
        // Step 2, the recursion written out.
        try optimizer.step([Tensor(gradients[1])])
        for index in expected.indices {
            let (g, h) = (gradients[0][index], gradients[1][index])
            let mean = (0.9 * 0.1 * g + 0.1 * h) / (1 - 0.81)
            let square = (0.99 * 0.01 * g * g + 0.01 * h * h) / (1 - 0.9801)
            expected[index] =
                expected[index] * (1 - rate * decay) - rate * mean / (square.squareRoot() + epsilon)
        }
        found = try parameter.elements(as: Double.self)
        for (a, b) in zip(found, expected) { #expect(abs(a - b) < 1e-13) }
        #expect(optimizer.steps == 2)
    }

    @Test("it finds the minimum of a quadratic whose slopes differ a thousandfold")
    func quadratic() throws {
        let leaf = try Tensor([3.0, -4]).requiringGradient()
        let (target, slope) = (try Tensor([1.0, 2]), try Tensor([1000.0, 1]))
        var optimizer = try AdamW([leaf], learningRate: 0.05, weightDecay: 0)
        for _ in 0..<400 {
            let gradient = try withGradients {
                try ((leaf - target).squared() * slope).sum().gradients(for: [leaf])
            }
            try optimizer.step(gradient)
        }
        let distance = try (leaf.detached() - target).norm().scalar()
        #expect(distance < 1e-3)
    }

    @Test("gradients are divided, a step that is to be skipped changes nothing")
    func divisorAndSkip() throws {
        func optimizer(_ parameter: Tensor) throws -> AdamW {
            try AdamW([parameter], learningRate: 0.1, weightDecay: 0.3)
        }
        let values: [Float] = [1, -2, 0.5]
        let (plain, divided) = (try Tensor(values), try Tensor(values))
        var (first, second) = (try optimizer(plain), try optimizer(divided))
        let four = try Tensor.full([], 4)
        for gradient in [[0.5, -3, 1e-4], [-1.0, 2, 0.25]] as [[Float]] {
            try first.step([Tensor(gradient)])
            try second.step([Tensor(gradient.map { $0 * 4 })], dividedBy: four)
        }
        #expect(try divided.elements(as: Float.self) == plain.elements(as: Float.self))
        let before = try plain.elements(as: Float.self)
        let infinite = try Tensor([Float.infinity, 1, .nan])
        try first.step([infinite], dividedBy: Tensor.full([], .nan), unless: Tensor.ones([]))
        #expect(try plain.elements(as: Float.self) == before)
        #expect(try first.means[0].elements(as: Float.self).allSatisfy(\.isFinite))
        try first.step([Tensor([1, 1, 1] as [Float])], unless: Tensor.zeros([]))
        #expect(try plain.elements(as: Float.self) != before)
    }

    @Test("moments that are handed on give the steps of the optimiser that they came from")
    func resumed() throws {
        let gradients = (0..<6).map { step in (0..<4).map { Float(step * $0) - 3 } }
        let (whole, parts) = (
            try Tensor([1, 2, 3, 4] as [Float]), try Tensor([1, 2, 3, 4] as [Float])
        )
        var optimizer = try AdamW([whole], learningRate: 0.05)
        for gradient in gradients { try optimizer.step([Tensor(gradient)]) }
        var early = try AdamW([parts], learningRate: 0.05)
        for gradient in gradients.prefix(3) { try early.step([Tensor(gradient)]) }
        var late = try AdamW([parts], learningRate: 0.05)
        try late.resume(after: 3, means: early.means, squares: early.squares)
        for gradient in gradients.dropFirst(3) { try late.step([Tensor(gradient)]) }
        #expect(try parts.elements(as: Float.self) == whole.elements(as: Float.self))
        #expect(late.steps == 6)
    }

    @Test("the norm is that of all elements together")
    func totalNorm() throws {
        let tensors = [
            try Tensor([3.0, 0], shape: [2, 1]), try Tensor([4.0]), try Tensor([12.0]),
        ]
        let norm = try tensors.totalNorm()
        #expect(norm.shape == [])
        let value = try norm.scalar()
        #expect(abs(value - 13) < 1e-12)
    }
}
