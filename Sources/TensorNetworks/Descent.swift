import Tensors

/// L-BFGS with backtracking (Nocedal & Wright, algorithms 7.4 and 3.1) on tensors: every accepted step
/// lowers the loss, and the result is the last accepted point.
///
/// Alternating least squares needs a conjugate gradient solve per core and sweep, each of whose
/// iterations costs as much as one evaluation here, and it cannot move two cores at once.
struct Descent {
    var iterations = 100
    /// Mean relative improvement per iteration, over the last few, below which it stops.
    var tolerance = 1e-4
    /// Steps whose curvature is remembered.
    var memory = 12

    /// A loss at some unknowns, and its gradient if that is asked for.
    typealias Evaluation = (value: Double, gradient: () throws -> [Tensor])

    private static let window = 5

    func minimize(
        from start: [Tensor], _ loss: ([Tensor]) throws -> Evaluation
    ) throws -> (unknowns: [Tensor], value: Double) {
        let shapes = start.map(\.shape)
        func split(_ flat: Tensor) throws -> [Tensor] {
            var offset = 0
            return try shapes.map { shape in
                let count = shape.reduce(1, *)
                defer { offset += count }
                return try flat.narrowed(0, offset..<offset + count).reshaped(shape)
            }
        }
        func joined(_ parts: [Tensor]) throws -> Tensor {
            try Tensor.concatenated(parts.map { try $0.reshaped([-1]) }, along: 0)
        }
        var point = try joined(start)
        var (value, slope) = try loss(split(point))
        var gradient = try joined(slope())
        var curvature = Curvature(limit: memory)
        var values = [value]
        for _ in 0..<iterations {
            let square = try gradient.dot(gradient)
            guard square > 0, value > 0 else { break }
            var direction = try curvature.direction(for: gradient)
            var decrease = try direction.dot(gradient)
            if decrease >= 0 {
                curvature.forget()
                direction = try -gradient
                decrease = -square
            }
            // Without curvature, the step that would reach zero if the loss fell linearly, halved.
            var step = curvature.isEmpty ? 0.5 * value / square : 1
            var accepted = false
            for _ in 0..<20 {
                let next = try point + direction * step
                let trial = try loss(split(next))
                if trial.value <= value + 1e-4 * step * decrease {
                    let nextGradient = try joined(trial.gradient())
                    try curvature.remember(next - point, nextGradient - gradient)
                    (point, value, gradient) = (next, trial.value, nextGradient)
                    accepted = true
                    break
                }
                // The minimum of the parabola through what is known, kept inside the step.
                let excess = trial.value - value - step * decrease
                let parabola = excess > 0 ? -decrease * step * step / (2 * excess) : 0
                step = max(0.1 * step, min(0.5 * step, parabola))
            }
            guard accepted else {
                if curvature.isEmpty { break }
                curvature.forget()
                continue
            }
            values.append(value)
            if values.count > Self.window {
                let before = values[values.count - 1 - Self.window]
                if before - value < Double(Self.window) * tolerance * value { break }
            }
        }
        return (try split(point), value)
    }
}

/// The curvature that recent steps showed, as pairs (step, change of gradient).
private struct Curvature {
    let limit: Int
    private var pairs: [(step: Tensor, change: Tensor, product: Double)] = []

    init(limit: Int) { self.limit = limit }

    var isEmpty: Bool { pairs.isEmpty }

    mutating func forget() { pairs.removeAll() }

    mutating func remember(_ step: Tensor, _ change: Tensor) throws {
        let product = try step.dot(change)
        // Curvature must be positive for the direction to descend.
        guard
            product > 1e-12 * (try change.dot(change)).squareRoot()
                * (try step.dot(step)).squareRoot()
        else { return }
        pairs.append((step, change, product))
        if pairs.count > limit { pairs.removeFirst() }
    }

    /// −H·gradient by the two-loop recursion.
    func direction(for gradient: Tensor) throws -> Tensor {
        var q = try -gradient
        var weights: [Double] = []
        for pair in pairs.reversed() {
            let weight = try pair.step.dot(q) / pair.product
            q = try q - pair.change * weight
            weights.append(weight)
        }
        if let last = pairs.last {
            q = try q * (last.product / last.change.dot(last.change))
        }
        for (pair, weight) in zip(pairs, weights.reversed()) {
            q = try q + pair.step * (weight - pair.change.dot(q) / pair.product)
        }
        return q
    }
}

extension Tensor {
    /// The inner product of two vectors.
    fileprivate func dot(_ other: Tensor) throws -> Double { try matmul(other).scalar() }
}
