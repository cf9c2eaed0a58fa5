import Artifacts
import TensorNetworks
import Tensors
import Testing

@testable import Models

@Suite("Compressed linear layers")
struct CompressedTests {
    /// Every kind of network for a `[rows, columns]` matrix, with modes that need padding too.
    static func formats(_ rows: Int, _ columns: Int) -> [Format] {
        Format.Kind.allCases.filter { $0 != .dense }.compactMap {
            Format.fitting(
                $0, rows: rows, columns: columns, parameters: rows * columns * 3 / 4, modeCount: 2)
        }
    }

    /// Random values for the parts of `format`.
    static func parts(
        _ format: Format, _ rows: Int, _ columns: Int, seed: UInt64, _ type: ElementType
    ) throws -> [String: Tensor] {
        var parts: [String: Tensor] = [:]
        for (index, part) in try format.parts(rows: rows, columns: columns).enumerated() {
            guard part.isIndex else {
                parts[part.name] =
                    try Tensor.normal(part.shape, seed: seed + UInt64(index), type) * 0.5
                continue
            }
            // Distinct rows in no particular order, of the matrix or of the tensor named before.
            let values = parts[String(part.name.dropLast(".pivots".count))]
            let limit = values.map { $0.shape[0] + part.count } ?? rows
            parts[part.name] = try Tensor(
                (0..<part.count).map { Int32((part.count - 1 - $0) * limit / part.count) })
        }
        return parts
    }

    static func network(
        _ format: Format, _ rows: Int, _ columns: Int, _ parts: [String: Tensor]
    ) throws -> Factorization {
        try Factorization(format: format, rows: rows, columns: columns) { name in
            let part: Tensor? = parts[name]
            return try #require(part)
        }
    }

    @Test("the formats are all there are")
    func kinds() {
        let kinds = Set(Self.formats(24, 36).map(\.kind)).union([.dense])
        #expect(kinds == Set(Format.Kind.allCases))
    }

    @Test(
        "x·Wᵀ + bias is that of the matrix multiplied out", arguments: formats(24, 36),
        [[36], [5, 36], [2, 3, 36], [2, 70, 36]])
    func apply(_ format: Format, _ shape: [Int]) throws {
        let parts = try Self.parts(format, 24, 36, seed: 5, .float64)
        let network = try Self.network(format, 24, 36, parts)
        let bias = try Tensor.normal([24], seed: 90, .float64)
        let x = try Tensor.normal(shape, seed: 91, .float64)
        let matrix = try Linear.Weight.network(network).dense()
        #expect(matrix.shape == [24, 36])
        for bias in [nil, bias] {
            let layer = Linear(.network(network), bias: bias)
            let expected = try Linear(.dense(matrix), bias: bias)(x)
            // Products of up to six parts, summed over up to 36 inputs and the ranks.
            let bound = 64 * 36 * ElementType.float64.roundoff
            #expect(try largestDeviation(layer(x), expected) <= bound)
            #expect(
                try layer.parameterCount == format.parameterCount(rows: 24, columns: 36))
        }
    }

    @Test("a compressed checkpoint computes what its multiplied-out weights compute")
    func checkpoint() throws {
        var compressed = try RandomCheckpoint(seed: 100)
        // A folder of its own.
        var dense = try RandomCheckpoint(seed: 100)
        let source = try Checkpoint(compressed.write()).fingerprint()
        var matrices: [CompressedMatrix] = []
        var count = 0
        // Every kind, the stored-dense patch and matrices that the manifest does not name.
        for (index, module) in compressed.configuration.linearModules.enumerated() {
            let formats = Self.formats(module.rows, module.columns) + [.dense]
            guard index % (formats.count + 1) < formats.count else {
                count += module.rows * module.columns
                continue
            }
            let format = formats[index % (formats.count + 1)]
            let parts = try Self.parts(
                format, module.rows, module.columns, seed: 1_000 * UInt64(index), .float32)
            let matrix = try CompressedMatrix(MatrixPlan(module, format, as: .float32))
            matrices.append(matrix)
            compressed.tensors[module.weight.name] = nil
            for (part, name) in try #require(matrix.patches.first).tensors {
                compressed.tensors[name] = parts[part]
            }
            dense.tensors[module.weight.name] =
                format == .dense
                ? parts["weight"]
                : try Self.network(format, module.rows, module.columns, parts).reconstructed()
                    .contiguous()
            count += try format.parameterCount(rows: module.rows, columns: module.columns)
        }
        let plan = CompressionPlan(source: source, settings: [:], matrices: [])
        _ = try compressed.write(
            CompressionManifest(source: source, plan: plan, matrices: matrices))

        let configuration = compressed.configuration
        let ids = try Tensor((0..<40).map { ($0 * 7 + 3) % 61 }, shape: [2, 20])
        let model = try CausalLanguageModel(Checkpoint(compressed.path), configuration)
        let multiplied = try CausalLanguageModel(Checkpoint(dense.write()), configuration)
        #expect(model.linearParameterCount == count)
        let deviation = try withoutGradients {
            try largestDeviation(model.logits(ids), multiplied.logits(ids))
        }
        print("compressed checkpoint: logits within \(deviation) of the multiplied-out one's")
        #expect(deviation <= configuration.reorderingBound)
    }

    /// Cuts of a `[rows, columns]` matrix: along the rows, along the columns, both, and bricks whose rows
    /// overlap without being the same.
    private static func cuts(_ rows: Int, _ columns: Int) -> [[MatrixRegion]] {
        let (r, c) = (rows / 3, columns / 2 - 1)
        func region(_ rows: Range<Int>, _ columns: Range<Int>) -> MatrixRegion {
            MatrixRegion(rows: rows, columns: columns)
        }
        return [
            [region(r..<rows, 0..<columns), region(0..<r, 0..<columns)],
            [region(0..<rows, 0..<c), region(0..<rows, c..<columns)],
            [
                region(0..<r, 0..<c), region(r..<rows, 0..<c), region(0..<r, c..<columns),
                region(r..<rows, c..<columns),
            ],
            [
                region(0..<r, 0..<c), region(r..<rows, 0..<c), region(0..<2 * r, c..<columns),
                region(2 * r..<rows, c..<columns),
            ],
        ]
    }

    @Test("matrices cut into patches compute what the multiplied-out ones do", arguments: 0..<4)
    func patches(_ cut: Int) throws {
        var compressed = try RandomCheckpoint(seed: 100)
        var dense = try RandomCheckpoint(seed: 100)
        let source = try Checkpoint(compressed.write()).fingerprint()
        var matrices: [CompressedMatrix] = []
        for module in compressed.configuration.linearModules {
            let regions = Self.cuts(module.rows, module.columns)[cut]
            let matrix = try CompressedMatrix(
                MatrixPlan(
                    name: module.name, rows: module.rows, columns: module.columns,
                    patches: regions.enumerated().map {
                        PatchPlan($1, $0 == 1 ? .dense : .lowRank(rank: 2), as: .float32)
                    }))
            matrices.append(matrix)
            compressed.tensors[module.weight.name] = nil
            // Assembled patch by patch, in an order that is not the model's.
            let whole = try Tensor.zeros([module.rows, module.columns])
            for (index, patch) in matrix.patches.enumerated() {
                var parts: [String: Tensor] = [:]
                for (part, info) in zip(
                    try patch.format.parts(
                        rows: patch.region.rows.count, columns: patch.region.columns.count),
                    try patch.declarations(matrix: matrix.name))
                {
                    let scale = 1 / Double(module.columns).squareRoot()
                    let values =
                        try Tensor.normal(
                            info.shape, seed: UInt64(matrices.count * 100 + index)) * scale
                    compressed.tensors[info.name] = values
                    parts[part.name] = values
                }
                let block =
                    try parts["weight"]
                    ?? #require(parts["output"]).matmul(#require(parts["input"]))
                try whole.narrowed(0, patch.region.rows).narrowed(1, patch.region.columns)
                    .assign(block)
            }
            dense.tensors[module.weight.name] = whole
        }
        let plan = CompressionPlan(source: source, settings: [:], matrices: [])
        _ = try compressed.write(
            CompressionManifest(source: source, plan: plan, matrices: matrices))
        let configuration = compressed.configuration
        let ids = try Tensor((0..<40).map { ($0 * 7 + 3) % 61 }, shape: [2, 20])
        let model = try CausalLanguageModel(Checkpoint(compressed.path), configuration)
        let multiplied = try CausalLanguageModel(Checkpoint(dense.write()), configuration)
        let deviation = try withoutGradients {
            for (block, other) in zip(model.blocks, multiplied.blocks) {
                for projection in Projection.allCases {
                    let (found, expected) = (
                        try block[projection].weight.dense(), try other[projection].weight.dense()
                    )
                    #expect(try largestDeviation(found, expected) < 1e-6)
                }
            }
            return try largestDeviation(model.logits(ids), multiplied.logits(ids))
        }
        #expect(deviation <= configuration.reorderingBound)
    }
}

@Suite("WeightLoader")
struct WeightLoaderTests {
    @Test(
        "refuses values that are not finite, by name",
        arguments: [Float.nan, .infinity, -.infinity],
        [
            "model.embed_tokens.weight", "model.layers.1.mlp.down_proj.weight",
            "model.layers.0.self_attn.k_proj.bias", "lm_head.weight",
        ])
    func finite(_ value: Float, _ name: String) throws {
        var checkpoint = try RandomCheckpoint(seed: 100)
        let tensor = try #require(checkpoint.tensors[name])
        var elements = try tensor.elements(as: Float.self)
        let place = elements.count - 2
        elements[place] = value
        checkpoint.tensors[name] = try Tensor(elements, shape: tensor.shape)
        let folder = try checkpoint.write()
        let error = #expect(throws: CheckpointError.self) {
            _ = try CausalLanguageModel(Checkpoint(folder), checkpoint.configuration)
        }
        #expect(
            error
                == .notFinite(
                    tensor: name, element: place, file: "\(folder)/\(Checkpoint.singleFile)"))
    }

    @Test("loads into memory of its own, in the type that was asked for")
    func conversion() throws {
        let checkpoint = try RandomCheckpoint(seed: 100)
        let opened = try Checkpoint(checkpoint.write())
        let name = "model.layers.0.mlp.up_proj.weight"
        for type in [ElementType.float32, .bfloat16, .float64] {
            let loaded = try WeightLoader(opened, as: type, on: .cpu).tensor(name)
            #expect(loaded.elementType == type)
            try loaded.fill(0)
            let again = try opened.tensor(named: name)
            let written = try #require(checkpoint.tensors[name])
            #expect(try again.elements(as: Float.self) == written.elements(as: Float.self))
        }
    }
}
