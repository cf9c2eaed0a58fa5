import Glibc
import TensorNetworks
import Tensors
import Testing

@testable import Artifacts

/// A compressed copy of a three-layer model, small enough to write for every test.
enum CompressedModel {
    static let module = "model.layers.1.mlp.up_proj"
    static let fingerprint = Fingerprint(hex: String(repeating: "0a", count: 32))

    static func plan(
        _ patches: [PatchPlan], rows: Int = 172, columns: Int = 64
    ) throws -> CompressionPlan {
        CompressionPlan(
            source: try #require(fingerprint),
            settings: ["budget": .number(0.5), "planner": .string("test")],
            matrices: [MatrixPlan(name: module, rows: rows, columns: columns, patches: patches)])
    }

    static func patch(
        _ rows: Range<Int>, _ columns: Range<Int>, _ format: Format,
        as type: ElementType = .bfloat16
    ) -> PatchPlan {
        PatchPlan(MatrixRegion(rows: rows, columns: columns), format, as: type)
    }

    static func manifest(_ patches: [PatchPlan]) throws -> CompressionManifest {
        let plan = try plan(patches)
        return try CompressionManifest(
            source: plan.source, plan: plan,
            matrices: try plan.matrices.map { try CompressedMatrix($0) })
    }

    /// Every format, on patches that tile a 172×64 matrix.
    static let everyFormat = [
        patch(0..<64, 0..<32, .lowRank(rank: 4)),
        patch(0..<64, 32..<64, .pivotedLowRank(rank: 5), as: .float32),
        patch(64..<128, 0..<64, .tensorTrain(.init(output: [8, 8], input: [8, 8]), ranks: [6])),
        patch(
            128..<144, 0..<64, .tensorRing(.init(output: [4, 4], input: [8, 8]), ranks: [2, 3])),
        patch(
            144..<160, 0..<64,
            .blockTerm(.init(output: [4, 4], input: [8, 8]), ranks: [2, 2, 3, 3], terms: 2)),
        patch(160..<171, 0..<64, .mixture([.lowRank(rank: 1), .pivotedLowRank(rank: 2)])),
        patch(171..<172, 0..<64, .dense, as: .float16),
    ]

    /// Writes the model with one matrix in these patches.
    static func write(
        _ manifest: CompressionManifest, to path: String, in folder: TemporaryFolder,
        omitting omitted: String? = nil, adding added: [TensorInfo] = []
    ) throws {
        try folder.write(try Configurations.bytes(), to: ModelConfiguration.file)
        var declared = added
        for expected in try Configurations.make().expectedTensors
        where manifest.matrix(String(expected.name.dropLast(".weight".count))) == nil {
            declared.append(
                try #require(
                    TensorInfo(name: expected.name, elementType: .float32, shape: expected.shape)))
        }
        for matrix in manifest.matrices {
            for patch in matrix.patches {
                declared += try patch.declarations(matrix: matrix.name)
            }
        }
        declared.removeAll { $0.name == omitted }
        let writer = try CheckpointWriter(
            path, like: folder.path, declaring: declared, manifest: manifest)
        for tensor in declared {
            try writer.write(
                try Tensor.zeros(tensor.shape, tensor.elementType), named: tensor.name)
        }
        try writer.finish()
    }
}

@Suite("Compressed checkpoints")
struct ManifestTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    @Test("every format comes back, and config and manifest together account for all tensors")
    func roundTrip() throws {
        let manifest = try CompressedModel.manifest(CompressedModel.everyFormat)
        let path = folder.file("compressed")
        try CompressedModel.write(manifest, to: path, in: folder)
        let checkpoint = try Checkpoint(path)
        #expect(checkpoint.manifest == manifest)
        let configuration = try ModelConfiguration(folder: path)
        #expect(try configuration.source == Configurations.bytes())
        try checkpoint.validate(against: configuration)
        #expect(checkpoint.info("\(CompressedModel.module).weight") == nil)
        #expect(
            checkpoint.info("\(CompressedModel.module).patch.1.pivots")?.elementType == .int32)
        // A manifest is text that can be compared: the same value, the same bytes.
        #expect(try StrictJSON.encode(manifest) == checkpoint.manifestSource)
    }

    @Test("a single patch has the short names")
    func names() throws {
        let manifest = try CompressedModel.manifest([
            CompressedModel.patch(0..<172, 0..<64, .lowRank(rank: 8))
        ])
        #expect(
            manifest.tensorNames == [
                "\(CompressedModel.module).output", "\(CompressedModel.module).input",
            ])
        let text = String(decoding: try StrictJSON.encode(manifest), as: UTF8.self)
        #expect(text.contains("\"dtype\" : \"BF16\""))
        #expect(text.contains("\"kind\" : \"low-rank\""))
    }

    @Test(
        "values of one byte have scales beside them, and count as values",
        arguments: [ElementType.int8, .float8e4m3])
    func quantized(_ type: ElementType) throws {
        let formats = CompressedModel.everyFormat.map { PatchPlan($0.region, $0.format, as: type) }
        let manifest = try CompressedModel.manifest(formats)
        #expect(manifest.quantizedType == type)
        let path = folder.file("compressed")
        try CompressedModel.write(manifest, to: path, in: folder)
        let checkpoint = try Checkpoint(path)
        #expect(checkpoint.manifest == manifest)
        try checkpoint.validate(against: try ModelConfiguration(folder: path))
        for name in manifest.tensorNames
        where !name.hasSuffix("pivots") && !name.hasSuffix("scales") {
            #expect(checkpoint.info(name)?.elementType == type)
            #expect(checkpoint.info("\(name).scales")?.elementType == .float32)
        }
        let core = "\(CompressedModel.module).patch.2.core.1"
        #expect(checkpoint.info(core)?.shape == [6, 8, 8, 1])
        #expect(checkpoint.info("\(core).scales")?.shape == [48])
        let bytes = try formats.reduce(0) {
            try $0
                + $1.format.byteCount(
                    rows: $1.region.rows.count, columns: $1.region.columns.count, as: type)
        }
        #expect(
            manifest.tensorNames.reduce(0) { $0 + (checkpoint.info($1)?.byteCount ?? 0) } == bytes)
        #expect(
            throws: ManifestError.elementType(.uint8, matrix: CompressedModel.module)
        ) {
            try CompressedModel.manifest([
                CompressedModel.patch(0..<172, 0..<64, .dense, as: .uint8)
            ])
        }
    }

    @Test("parts that are missing or of the wrong shape or type, before anything is read")
    func wrongParts() throws {
        let manifest = try CompressedModel.manifest([
            CompressedModel.patch(0..<172, 0..<64, .lowRank(rank: 8))
        ])
        let part = "\(CompressedModel.module).output"
        func fault(_ replacement: TensorInfo?) throws -> [TensorFault] {
            let folder = try TemporaryFolder()
            try CompressedModel.write(
                manifest, to: folder.file("c"), in: folder, omitting: part)
            if let replacement {
                // A second file of the same folder cannot exist, so the part is added by hand.
                let checkpoint = try Checkpoint.withoutManifest(folder.file("c"))
                let path = folder.file("c2")
                let writer = try CheckpointWriter(
                    path, like: folder.path,
                    declaring: try checkpoint.tensorNames.map { try #require(checkpoint.info($0)) }
                        + [replacement], manifest: manifest)
                for name in checkpoint.tensorNames { try writer.copy(name, from: checkpoint) }
                try writer.write(
                    try Tensor.zeros(replacement.shape, replacement.elementType), named: part)
                try writer.finish()
                return try faults(opening: path)
            }
            return try faults(opening: folder.file("c"))
        }
        #expect(try fault(nil) == [.missing(part)])
        #expect(
            try fault(TensorInfo(name: part, elementType: .bfloat16, shape: [172, 9]))
                == [.shape(part, found: [172, 9], expected: [172, 8])])
        #expect(
            try fault(TensorInfo(name: part, elementType: .float32, shape: [172, 8]))
                == [.elementType(part, found: .float32, expected: "BF16")])
    }

    func faults(opening path: String) throws -> [TensorFault] {
        do {
            _ = try Checkpoint(path)
            return []
        } catch CheckpointError.disagreement(_, let faults) {
            return faults
        }
    }

    @Test("a configuration that disagrees with the tensors")
    func disagreement() throws {
        let manifest = try CompressedModel.manifest([
            CompressedModel.patch(0..<172, 0..<64, .lowRank(rank: 8))
        ])
        let path = folder.file("c")
        let extra = try #require(TensorInfo(name: "x", elementType: .float32, shape: [1]))
        let frequencies = try #require(
            TensorInfo(
                name: "model.layers.0.self_attn.rotary_emb.inv_freq", elementType: .float32,
                shape: [4]))
        try CompressedModel.write(manifest, to: path, in: folder, adding: [extra, frequencies])
        let checkpoint = try Checkpoint(path)
        func faults(_ changes: [String: JSONValue?]) throws -> [TensorFault] {
            do {
                try checkpoint.validate(against: try Configurations.make(changes))
                return []
            } catch CheckpointError.disagreement(_, let faults) {
                return faults
            }
        }
        #expect(try faults([:]) == [.unexpected("x")])
        #expect(try faults(["tie_word_embeddings": .bool(true)]) == [.unexpected("x")])
        let wide = try faults(["intermediate_size": .integer(200)])
        #expect(
            wide.contains(
                .shape(CompressedModel.module, found: [172, 64], expected: [200, 64])))
        #expect(
            try faults(["num_hidden_layers": .integer(4)]).contains(
                .missing("model.layers.3.self_attn.q_proj.weight")))
        let shallow = try faults(["num_hidden_layers": .integer(1)])
        #expect(shallow.contains(.unexpected("\(CompressedModel.module).weight")))
        #expect(
            try faults(["attention_bias": .bool(true)]).contains(
                .missing("model.layers.0.self_attn.o_proj.bias")))
    }

    static let badPatches: [[PatchPlan]] = [
        [],
        [CompressedModel.patch(0..<171, 0..<64, .dense)],
        [CompressedModel.patch(0..<172, 0..<65, .dense)],
        [CompressedModel.patch(0..<172, 0..<64, .lowRank(rank: 65))],
        [CompressedModel.patch(0..<172, 0..<64, .lowRank(rank: 0))],
        [CompressedModel.patch(0..<172, 0..<64, .lowRank(rank: Int.max))],
        [CompressedModel.patch(0..<172, 0..<64, .lowRank(rank: 4), as: .int32)],
        [
            CompressedModel.patch(0..<100, 0..<64, .dense),
            CompressedModel.patch(99..<172, 0..<64, .dense),
        ],
        [
            CompressedModel.patch(0..<100, 0..<64, .dense),
            CompressedModel.patch(100..<172, 0..<63, .dense),
        ],
        [
            CompressedModel.patch(0..<172, 0..<64, .dense),
            CompressedModel.patch(172..<172, 0..<64, .dense),
        ],
        [
            CompressedModel.patch(
                0..<172, 0..<64,
                .tensorRing(.init(output: [172], input: [64]), ranks: [Int.max]))
        ],
        [
            CompressedModel.patch(
                0..<172, 0..<64,
                .tensorTrain(
                    .init(output: [Int.max, Int.max], input: [8, 8]), ranks: [1 << 62]))
        ],
        [
            CompressedModel.patch(
                0..<172, 0..<64,
                .blockTerm(
                    .init(output: [43, 4], input: [8, 8]), ranks: [1, 1, 1, 1], terms: Int.max))
        ],
        [CompressedModel.patch(0..<172, 0..<64, .mixture([.dense]))],
    ]

    @Test("patches that do not tile and ranks that cannot be", arguments: badPatches)
    func impossiblePatches(_ patches: [PatchPlan]) throws {
        let plan = try CompressedModel.plan(patches)
        #expect(throws: ManifestError.self) { try plan.validate() }
        // As text, which is what a reader meets.
        let matrices = plan.matrices.map { matrix in
            CompressedMatrix(
                name: matrix.name, rows: matrix.rows, columns: matrix.columns,
                patches: matrix.patches.map {
                    CompressedPatch(
                        $0.region, $0.format, as: $0.elementType, tensors: ["output": "x"])
                })
        }
        let text = try StrictJSON.encode(
            Document(version: 1, source: plan.source, plan: plan, matrices: matrices))
        #expect(throws: CheckpointError.self) {
            _ = try CompressionManifest(parsing: text, of: "minima.json")
        }
    }

    /// A manifest that nothing has checked.
    struct Document: Codable {
        let version: Int
        let source: Fingerprint
        let plan: CompressionPlan
        let matrices: [CompressedMatrix]
    }

    @Test("the largest ring that formats allow has a core past all memory")
    func absurdRing() throws {
        let side = Format.largestSide
        let plan = MatrixPlan(
            name: "m", rows: side, columns: side,
            patches: [
                CompressedModel.patch(
                    0..<side, 0..<side,
                    .tensorRing(.init(output: [side], input: [side]), ranks: [side]))
            ])
        #expect(throws: ManifestError.self) { _ = try CompressedMatrix(plan) }
    }

    static let edits: [(from: String, to: String, reason: String)] = [
        ("\"version\" : 1", "\"version\" : 2", "reads version 1"),
        ("\"rank\" : 8", "\"rank\" : 8, \"alpha\" : 1", "unknown key"),
        ("\"rank\" : 8", "\"rank\" : 8, \"rank\" : 8", "twice"),
        ("\"rank\" : 8", "\"rank\" : 8.5", "not whole"),
        ("\"rank\" : 8", "\"rank\" : 1e300", "not whole"),
        ("\"kind\" : \"low-rank\"", "\"kind\" : \"lower-rank\"", "kind"),
        ("\"dtype\" : \"BF16\"", "\"dtype\" : \"BF17\"", "dtype"),
        ("\"settings\"", "\"setting\"", "settings"),
        ("\"matrices\"", "\"comment\" : \"\", \"matrices\"", "unknown key"),
        ("0a0a", "0A0A", "fingerprint"),
        (".input\"", ".other\"", ""),
        ("\"input\" :", "\"inputs\" :", "input"),
    ]

    @Test("text that is not a manifest", arguments: edits)
    func strict(from: String, to: String, reason: String) throws {
        let manifest = try CompressedModel.manifest([
            CompressedModel.patch(0..<172, 0..<64, .lowRank(rank: 8))
        ])
        let text = String(decoding: try StrictJSON.encode(manifest), as: UTF8.self)
        let edited = text.split(separator: from, omittingEmptySubsequences: false)
            .joined(separator: to)
        try #require(edited != text)
        do {
            let read = try CompressionManifest(parsing: Array(edited.utf8), of: "minima.json")
            // Another tensor name is fine for the manifest alone; the headers decide.
            #expect(reason.isEmpty)
            #expect(throws: CheckpointError.self) {
                try read.validate(against: { _ in nil }, of: "minima.json")
            }
        } catch {
            #expect(!reason.isEmpty && error.description.contains(reason), "\(error)")
            #expect(!error.description.contains("\n"))
        }
    }
}

extension Checkpoint {
    /// Opens the tensors of a folder whose manifest does not hold.
    fileprivate static func withoutManifest(_ folder: String) throws -> Checkpoint {
        #expect(unlink("\(folder)/\(CompressionManifest.file)") == 0)
        return try Checkpoint(folder)
    }
}
