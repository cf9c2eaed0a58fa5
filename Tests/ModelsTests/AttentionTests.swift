import Foundation
import Tensors
import Testing

@testable import Models

@Suite("Attention masks")
struct AttentionMaskTests {
    @Test(
        "what a query sees is what the definition says",
        arguments: [(1, 0), (1, 12), (5, 0), (5, 3), (13, 8), (2, 40)],
        [nil, 1, 4, 9, 64] as [Int?])
    func definition(_ run: (queries: Int, past: Int), _ window: Int?) throws {
        let (batch, heads, groups, size) = (2, 4, 2, 6)
        let tokens = run.past + run.queries
        let queries = try Tensor.normal([batch, heads, run.queries, size], seed: 1, .float64)
        let keys = try Tensor.normal([batch, groups, tokens, size], seed: 2, .float64)
        let values = try Tensor.normal([batch, groups, tokens, size], seed: 3, .float64)
        let mask = AttentionMask(queries: run.queries, past: run.past, window: window)
        let attended = try mask.attend(queries, keys, values).elements(as: Double.self)

        let (q, k, v) = (
            try queries.elements(as: Double.self), try keys.elements(as: Double.self),
            try values.elements(as: Double.self)
        )
        var worst = 0.0
        for (sequence, head, query) in product(batch, heads, run.queries) {
            let position = run.past + query
            let first = max(0, position - (window ?? .max / 2) + 1)
            // Heads of queries share key-value heads in order.
            let pair = (sequence * groups + head / (heads / groups)) * tokens
            let row = ((sequence * heads + head) * run.queries + query) * size
            let weights = (first...position).map { token in
                let score = (0..<size).reduce(0.0) {
                    $0 + q[row + $1] * k[(pair + token) * size + $1]
                }
                return exp(score / Double(size).squareRoot())
            }
            let total = weights.reduce(0, +)
            for index in 0..<size {
                let expected = zip(first...position, weights).reduce(0.0) {
                    $0 + $1.1 / total * v[(pair + $1.0) * size + index]
                }
                worst = max(worst, abs(attended[row + index] - expected))
            }
        }
        // Values are a few units and weights sum to one.
        #expect(worst <= Double(tokens + size) * 8 * ElementType.float64.roundoff * 4)
    }

    private func product(_ a: Int, _ b: Int, _ c: Int) -> [(Int, Int, Int)] {
        (0..<a).flatMap { i in (0..<b).flatMap { j in (0..<c).map { (i, j, $0) } } }
    }
}

@Suite("KVCache")
struct KVCacheTests {
    @Test(
        "holds what it was given, also beyond its capacity", arguments: [1, 4, 7, 64],
        [ElementType.float32, .bfloat16])
    func growth(capacity: Int, type: ElementType) throws {
        let (layers, batch, heads, size) = (3, 2, 2, 5)
        var cache = KVCache(layers: layers, capacity: capacity)
        var given = Array(repeating: (keys: [Tensor](), values: [Tensor]()), count: layers)
        var seed: UInt64 = 0
        for tokens in [3, 1, 1, 8, 1, 17] {
            for layer in 0..<layers {
                seed += 2
                let shape = [batch, heads, tokens, size]
                let (keys, values) = (
                    try Tensor.normal(shape, seed: seed, type),
                    try Tensor.normal(shape, seed: seed + 1, type)
                )
                given[layer].keys.append(keys)
                given[layer].values.append(values)
                let all = try cache.extend(layer: layer, keys: keys, values: values)
                let expected = (
                    keys: try Tensor.concatenated(given[layer].keys, along: 2),
                    values: try Tensor.concatenated(given[layer].values, along: 2)
                )
                #expect(all.keys.elementType == type)
                #expect(try same(all.keys, expected.keys))
                #expect(try same(all.values, expected.values))
            }
            cache.advance(by: tokens)
        }
        #expect(cache.length == 31)
    }

    private func same(_ a: Tensor, _ b: Tensor) throws -> Bool {
        guard a.shape == b.shape else { return false }
        return try a.elements(as: Float.self) == b.elements(as: Float.self)
    }
}
