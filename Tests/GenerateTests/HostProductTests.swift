import Artifacts
import CDecode
import Models
import TensorNetworks
import Tensors
import Testing

@testable import Generate

/// Products of a few rows with a weight, beside float64.
@Suite("Products on the CPU", .serialized)
struct HostProductTests {
    private struct Product {
        let rows: Int
        let columns: Int
        let batch: Int
        let isNarrow: Bool
        let adds: Bool

        var weights: Tensor {
            get throws {
                try Tensor.normal([rows, columns], seed: UInt64(rows * columns))
                    .converted(to: isNarrow ? .bfloat16 : .float32)
            }
        }

        func run(_ pool: WorkerPool, batch first: Int? = nil) throws -> [Float] {
            let matrix = try HostMatrix(weights, rows: rows)
            let x = try Tensor.normal([batch, columns], seed: 3).elements(as: Float.self)
            let count = first ?? batch
            var y = [Float](repeating: 0.5, count: batch * rows)
            y.withUnsafeMutableBufferPointer {
                cd_linear(
                    pool.raw, matrix.raw, x, Int64(columns), $0.baseAddress, Int64(rows), nil,
                    Int64(count), adds)
            }
            return Array(y.prefix(count * rows))
        }

        func expected() throws -> [Double] {
            let x = try Tensor.normal([batch, columns], seed: 3).converted(to: .float64)
            let y = try x.linear(weights.converted(to: .float64))
            return try (adds ? y + 0.5 : y).elements(as: Double.self)
        }
    }

    private let products = [1, 2, 3, 4, 7, 9].flatMap { batch in
        [(1, 1), (5, 3), (64, 16), (33, 100), (130, 257)].flatMap { rows, columns in
            [false, true].map {
                Product(
                    rows: rows, columns: columns, batch: batch, isNarrow: $0, adds: batch % 2 == 0)
            }
        }
    }

    @Test("products are those of float64, with vector units and without", arguments: [false, true])
    func linear(_ isPlain: Bool) throws {
        cd_force_plain(isPlain)
        defer { cd_force_plain(false) }
        let pool = WorkerPool(threads: 2)
        for product in products {
            let (found, expected) = (try product.run(pool), try product.expected())
            for (a, b) in zip(found, expected) {
                // Sums of `columns` products of about 1, each rounded to float32.
                #expect(abs(Double(a) - b) < 1e-6 * Double(product.columns + 8))
            }
        }
    }

    @Test("the same bits with any number of threads, and whatever else is in the batch")
    func invariance() throws {
        let pools = [1, 2, 5].map(WorkerPool.init)
        for product in products {
            let results = try pools.map { try product.run($0) }
            #expect(results[1] == results[0] && results[2] == results[0])
            #expect(try product.run(pools[1], batch: 1) == Array(results[0].prefix(product.rows)))
        }
    }

    @Test("threads that are more than the cores do their pieces, ten thousand times")
    func stress() throws {
        let pool = WorkerPool(threads: 6)
        let product = Product(rows: 400, columns: 200, batch: 1, isNarrow: false, adds: false)
        let matrix = try HostMatrix(product.weights, rows: product.rows)
        let x = try Tensor.normal([1, product.columns], seed: 3).elements(as: Float.self)
        let expected = try product.run(WorkerPool(threads: 1))
        var y = [Float](repeating: 0, count: product.rows)
        var wrong = 0
        for _ in 0..<10_000 {
            y.withUnsafeMutableBufferPointer {
                $0.update(repeating: .nan)
                cd_linear(
                    pool.raw, matrix.raw, x, Int64(product.columns), $0.baseAddress,
                    Int64(product.rows), nil, 1, false)
            }
            if y != expected { wrong += 1 }
        }
        #expect(wrong == 0)
    }

    @Test("every format gives what libtorch gives", arguments: [false, true])
    func formats(_ isPlain: Bool) throws {
        cd_force_plain(isPlain)
        defer { cd_force_plain(false) }
        let (rows, columns) = (48, 60)
        let modes = TensorModes(output: [8, 6], input: [6, 10])
        let train = Format.tensorTrain(modes, ranks: [7])
        let wide = Format.tensorTrain(TensorModes(output: [48, 1], input: [2, 30]), ranks: [2])
        let formats: [Format] = [
            .lowRank(rank: 9), .pivotedLowRank(rank: 11), train, wide, .pivoted(train),
            .mixture([.pivotedLowRank(rank: 5), .pivoted(train)]),
            .tensorTrain(TensorModes(output: [4, 3, 4], input: [3, 4, 5]), ranks: [3, 3]),
            .tucker(modes, ranks: [4, 3, 3, 4]),
            .mixture([.lowRank(rank: 2), .tensorRing(modes, ranks: [2, 3])]),
        ]
        let pool = WorkerPool(threads: 2)
        let scratch = Scratch()
        for type in [ElementType.float32, .bfloat16] {
            var weights: [(weight: Linear.Weight, hasRoutine: Bool)] = try formats.enumerated().map
            {
                index, format in
                (
                    .network(
                        try Factorization.random(
                            format, rows: rows, columns: columns, seed: UInt64(index), as: type,
                            on: .cpu)), index < 6
                )
            }
            weights.append((.patches(try patched(rows, columns, type)), true))
            weights += try quantized(formats + [.dense], rows, columns)
            for (weight, hasRoutine) in weights {
                let linear = try HostLinear(weight, widening: .float32)
                #expect(linear.contractedByLibtorch.isEmpty == hasRoutine)
                for batch in [1, 3] {
                    let x = try Tensor.normal([batch, columns], seed: 9)
                    let values = try x.elements(as: Float.self)
                    // In float32, whatever the weights' type: that is what the host computes in.
                    let wide = try weight.converted(to: .float32)
                    let expected = try Linear(wide).product(x).elements(as: Float.self)
                    var y = [Float](repeating: 1, count: batch * rows)
                    for adds in [false, true] {
                        try values.withUnsafeBufferPointer { x in
                            try y.withUnsafeMutableBufferPointer { y in
                                guard let x = x.baseAddress, let y = y.baseAddress else { return }
                                try linear.apply(
                                    .init(values: x, stride: columns),
                                    .init(values: y, stride: rows), batch: batch, adds: adds, pool,
                                    scratch)
                            }
                        }
                        let scale = expected.map(abs).max() ?? 1
                        // What libtorch contracts in bfloat16 is rounded at every core.
                        let bound: Float = hasRoutine || type == .float32 ? 1e-5 : 0.05
                        for (found, value) in zip(y, expected) {
                            #expect(abs(found - (adds ? 2 : 1) * value) <= bound * scale)
                        }
                    }
                }
            }
        }
    }

    /// Values of one byte, read as they are or widened to float32.
    private func quantized(
        _ formats: [Format], _ rows: Int, _ columns: Int
    ) throws -> [(weight: Linear.Weight, hasRoutine: Bool)] {
        try [ElementType.int8, .float8e4m3].flatMap { type in
            try formats.enumerated().map { index, format in
                let drawn = try format.randomParts(rows: rows, columns: columns)
                var parts: [String: Tensor] = [:]
                for (place, part) in drawn.enumerated() {
                    parts[part.part.name] = try part.values(
                        seed: UInt64(10 * index + place), as: type, on: .cpu)
                    parts[Format.scales(of: part.part.name)] =
                        try part.scales(as: type, on: .cpu)
                        * (Tensor.range(to: Double(part.part.rows), .float32) * 0.1 + 1)
                }
                let network = try QuantizedNetwork(
                    format: format, rows: rows, columns: columns, as: type
                ) { name in
                    let part: Tensor? = parts[name]
                    return try #require(part)
                }
                return (.quantized(network), index < 6 || format == .dense)
            }
        }
    }

    /// Two heads above one another, and two bricks below that are not cut where they are.
    private func patched(_ rows: Int, _ columns: Int, _ type: ElementType) throws -> PatchedMatrix {
        func patch(_ rows: Range<Int>, _ columns: Range<Int>, rank: Int) throws
            -> PatchedMatrix.Patch
        {
            .init(
                MatrixRegion(rows: rows, columns: columns),
                .network(
                    try Factorization.random(
                        .lowRank(rank: rank), rows: rows.count, columns: columns.count, seed: 5,
                        as: type, on: .cpu)))
        }
        return PatchedMatrix(
            rows: rows, columns: columns,
            patches: [
                try patch(0..<16, 0..<columns, rank: 3), try patch(16..<rows, 0..<20, rank: 2),
                try patch(16..<30, 20..<columns, rank: 4),
                .init(
                    MatrixRegion(rows: 30..<rows, columns: 20..<columns),
                    .dense(
                        try Tensor.normal([rows - 30, columns - 20], seed: 1).converted(to: type))
                ),
            ])
    }
}
