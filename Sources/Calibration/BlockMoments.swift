import Models
import Tensors

/// The moments of one block's linear layers: just collected, or on disk.
package struct BlockMoments {
    private enum Place {
        case memory(inputs: [Projection.Input: Tensor], outputs: [Projection: Tensor])
        case disk(MomentCache, layer: Int)
    }

    private let place: Place

    init(in cache: MomentCache, layer: Int) { place = .disk(cache, layer: layer) }

    init(taking sums: BlockSums) throws {
        place = .memory(inputs: try sums.takeInputs(), outputs: try sums.takeOutputs())
    }

    /// A = E[x·xᵀ] of what the layers of `input` read, `[in, in]`.
    package func moment(of input: Projection.Input) throws -> Tensor {
        switch place {
        case .disk(let cache, let layer): return try cache.moment(of: input, layer: layer)
        case .memory(let inputs, _):
            guard let moment = inputs[input] else {
                preconditionFailure("every input was observed")
            }
            return moment
        }
    }

    /// G = E[g·gᵀ] `[out, out]`, see `MomentCache`.
    package func moment(of projection: Projection) throws -> Tensor {
        switch place {
        case .disk(let cache, let layer): return try cache.moment(of: projection, layer: layer)
        case .memory:
            let moment = try collected(projection)
            return moment.shape.count == 1 ? try moment.diagonalMatrix() : moment
        }
    }

    /// G, or its diagonal `[out]` where only that was collected.
    func collected(_ projection: Projection) throws -> Tensor {
        switch place {
        case .disk(let cache, let layer): return try cache.moment(of: projection, layer: layer)
        case .memory(_, let outputs):
            guard let moment = outputs[projection] else {
                preconditionFailure("every output was observed")
            }
            return moment
        }
    }
}

/// Sums over tokens of what one block's linear layers read, and of the gradients by what they compute.
final class BlockSums {
    private var inputs: [Projection.Input: MomentSum] = [:]
    private var outputs: [Projection: MomentSum] = [:]
    private var diagonals: [Projection: DiagonalSum] = [:]

    /// - Parameter x: `[…, in]`.
    func add(_ x: Tensor, _ input: Projection.Input) throws {
        try inputs[input, default: MomentSum()].add(x, x)
    }

    /// - Parameter g: `[…, out]`.
    func add(_ g: Tensor, _ projection: Projection) throws {
        if g.shape[g.shape.count - 1] > MomentCache.widestOutput {
            try diagonals[projection, default: DiagonalSum()].add(g)
        } else {
            try outputs[projection, default: MomentSum()].add(g, g)
        }
    }

    func takeInputs() throws -> [Projection.Input: Tensor] {
        defer { inputs = [:] }
        return try inputs.mapValues { sum in
            var sum = sum
            return try sum.takeMean()
        }
    }

    func takeOutputs() throws -> [Projection: Tensor] {
        defer { (outputs, diagonals) = ([:], [:]) }
        let whole = try outputs.mapValues { sum in
            var sum = sum
            return try sum.takeMean()
        }
        return whole.merging(try diagonals.mapValues { try $0.mean() }) { sum, _ in sum }
    }
}
