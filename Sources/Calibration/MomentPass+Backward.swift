import Artifacts
import Models
import Tensors

// The gradient of the loss, through the blocks from the last to the first.
extension MomentPass {
    /// Rows of logits held at once.
    private static let rowsAtOnce = 256

    /// The gradient of the loss by what the last block returns. Labels are drawn from the model's own
    /// distribution, which makes G the Fisher information: its quadratic form is the KL divergence to
    /// second order, on any text (Martens 2014, arXiv 1412.1193, section 5).
    func startBackward() throws {
        let ends = try ModelEnds(
            of: configuration, from: WeightLoader(weights, as: .float32, on: device))
        let last = configuration.layerCount - 1
        let reader = try states(last + 1).open()
        let writer = try gradients(last).create()
        for window in windows.indices {
            let x = try reader.window(window, on: device)
            let length = x.shape[1]
            let chance = try Tensor.uniform(
                [length, 1], seed: seed &+ UInt64(window), on: device)
            var parts: [Tensor] = []
            for start in stride(from: 0, to: length, by: Self.rowsAtOnce) {
                let rows = start..<min(start + Self.rowsAtOnce, length)
                let hidden = try x.narrowed(1, rows).squeezed(0).copied().requiringGradient()
                let loss = try withGradients {
                    let logits = try ends.project(try ends.normalize(hidden))
                    let labels = try withoutGradients {
                        try sample(try logits.detached(), try chance.narrowed(0, rows))
                    }
                    return try logits.crossEntropy(labels, mean: false).sum()
                }
                parts.append(try loss.gradients(for: [hidden])[0])
            }
            try writer.write(try Tensor.concatenated(parts, along: 0), window: window)
        }
        try writer.finish()
    }

    /// One label per row of logits, by inversion of the distribution function.
    private func sample(_ logits: Tensor, _ chance: Tensor) throws -> Tensor {
        let cumulative = try logits.softmax().cumulativeSum(-1)
        let below = try cumulative.less(chance).converted(to: .int64).sum(-1)
        // Rounding may leave the last sum below the chance.
        return try below.clamped(0...Double(logits.shape[1] - 1)).converted(to: .int64)
    }

    /// What the layers of one window read and compute.
    private final class Window: LinearObserver {
        let inputs: BlockSums
        var outputs: [Projection: Tensor] = [:]

        init(_ inputs: BlockSums) { self.inputs = inputs }

        func willRead(_ x: Tensor, _ input: Projection.Input) throws {
            try withoutGradients { try inputs.add(x.detached(), input) }
        }

        func didCompute(_ y: Tensor, _ projection: Projection) throws { outputs[projection] = y }
    }

    /// - Returns: the block's moments, where they were collected just now.
    func backward(
        _ layer: Int, below top: Int?, _ needed: [Bool], step: () throws -> Void
    ) throws -> BlockMoments? {
        let isLast = !needed[..<layer].contains(true)
        guard let top, layer <= top, needed[...layer].contains(true),
            needed[layer] || !gradients(layer - 1).exists
        else {
            for _ in windows { try step() }
            return nil
        }
        let (block, rotary) = (try block(layer), rotary())
        let (inputs, upstream) = (try states(layer).open(), try gradients(layer).open())
        let writer = isLast ? nil : try gradients(layer - 1).create()
        let sums = BlockSums()
        for window in windows.indices {
            let x = try inputs.window(window, on: device).requiringGradient()
            let gradient = try upstream.window(window, on: device)
            let observer = Window(sums)
            var none: KVCache?
            let product = try withGradients {
                try (block.forward(x, rotary: rotary, cache: &none, observer: observer) * gradient)
                    .sum()
            }
            let projections = Projection.allCases
            let outputs = projections.compactMap { observer.outputs[$0] }
            let found = try product.gradients(for: [x] + outputs)
            try writer?.write(found[0], window: window)
            for (projection, g) in zip(projections, found.dropFirst()) {
                try sums.add(g, projection)
            }
            try step()
        }
        try writer?.finish()
        let moments = try BlockMoments(taking: sums)
        TorchRuntime.releaseUnusedMemory()
        guard needed[layer] else { return nil }
        if keeping == .everything { try cache.writeInputs(moments, layer: layer) }
        if keeping != .nothing { try cache.writeOutputs(moments, layer: layer) }
        return keeping == .everything ? nil : moments
    }
}
