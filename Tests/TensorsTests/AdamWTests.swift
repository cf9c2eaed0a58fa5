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
}
