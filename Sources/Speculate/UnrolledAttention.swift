import Artifacts
import Models
import Tensors

/// Attention of the passes of training-time test: pass j looks at pass 0 causally, and at passes 1 … j of its own position.
struct UnrolledAttention {
    private let layer: ModelConfiguration
    private let mask: Tensor
    /// Of every pass, `[windows, heads, tokens, headDim]`.
    private var keys: [Tensor] = []
    private var values: [Tensor] = []

    init(_ layer: ModelConfiguration, tokens: Int, on device: Device) throws {
        self.layer = layer
        mask = try Tensor.ones([tokens, tokens], .float32, on: device).upperTriangle(1)
            .equals(1)
    }

    /// - Parameters: `[windows, tokens, heads, headDim]`, of keys and values as many heads as there are.
    mutating func attend(_ queries: Tensor, _ keys: Tensor, _ values: Tensor) throws -> Tensor {
        let group = layer.headCount / layer.keyValueHeadCount
        func spread(_ heads: Tensor) throws -> Tensor {
            let turned = try heads.transposed(1, 2)
            return group == 1 ? turned : try turned.repeatingEach(group, along: 1)
        }
        let q = try queries.transposed(1, 2)
        self.keys.append(try spread(keys))
        self.values.append(try spread(values))
        let scale = 1 / Double(layer.headDim).squareRoot()
        let past = try (q.matmul(self.keys[0].transposed(2, 3)) * scale)
            .filled(where: mask, with: -.infinity)
        let own = try self.keys.dropFirst().map {
            try (q * $0).sum(3, keeping: true) * scale
        }
        let shares = try Tensor.concatenated([past] + own, along: 3).converted(to: .float32)
            .softmax().converted(to: q.elementType)
        let tokens = q.shape[2]
        var sum = try shares.narrowed(3, 0..<tokens).matmul(self.values[0])
        for (index, values) in self.values.dropFirst().enumerated() {
            sum = try sum + shares.narrowed(3, tokens + index..<tokens + index + 1) * values
        }
        return try sum.transposed(1, 2).reshaped([q.shape[0], tokens, -1])
    }
}
