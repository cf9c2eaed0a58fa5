import Artifacts
import Calibration
import Foundation
import Models
import TensorNetworks
import Tensors
import Testing

@testable import Compress

@Suite("CompressStage")
struct CompressStageTests {
    static let tiny = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Models/tiny").path

    func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("minima-compress-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try body(folder)
    }

    /// Windows of ids that differ from one another; what they say does not matter here.
    func windows(_ count: Int, _ length: Int, seed: Int = 1) -> [[Int]] {
        (0..<count).map { window in (0..<length).map { (window * 977 + $0 * 31 + seed) % 4_096 } }
    }

    func stage(
        _ output: String, _ kind: Format.Kind = .lowRank, keep: Double = 0.5, weighted: Bool = true,
        windows: [[Int]]? = nil
    ) -> CompressStage {
        var settings = CompressionSettings(format: kind, keep: keep)
        settings.fit =
            weighted ? settings.fit : .unanchored(.weights)
        settings.fit.isTwoSided = false
        return stage(output, settings, windows: windows)
    }

    /// With a cache of its own, which lasts as long as the folder of the output.
    func stage(
        _ output: String, _ settings: CompressionSettings, windows: [[Int]]? = nil
    ) -> CompressStage {
        var stage = CompressStage(
            source: Self.tiny, output: output, settings: settings,
            calibration: .text(windows ?? self.windows(3, 64)))
        stage.cache = output + ".cache"
        return stage
    }

    /// E‖(W − Ŵ)x‖² / E‖Wx‖² of every matrix of block 0, measured with the activations themselves.
    private func measuredErrors(_ compressed: String, on windows: [[Int]]) throws -> [Double] {
        let configuration = try ModelConfiguration(folder: Self.tiny)
        let dense = WeightLoader(try Checkpoint(Self.tiny), as: .float32, on: .cpu)
        let other = WeightLoader(try Checkpoint(compressed), as: .float32, on: .cpu)
        let block = try DecoderBlock(0, of: configuration, from: dense)
        let approximation = try DecoderBlock(0, of: configuration, from: other)
        let ends = try ModelEnds(of: configuration, from: dense)
        let ids = try Tensor(windows.flatMap { $0 }, shape: [windows.count, windows[0].count])
        let comparison = Comparison(block, approximation)
        var none: KVCache?
        _ = try block.forward(
            try ends.embed(ids), rotary: RotaryTables(configuration, type: .float32, device: .cpu),
            cache: &none, observer: comparison)
        return comparison.errors
    }

    /// Runs the layers of two blocks side by side on what those of the first read.
    private final class Comparison: LinearObserver {
        let (dense, other): (DecoderBlock, DecoderBlock)
        var errors: [Double] = []

        init(_ dense: DecoderBlock, _ other: DecoderBlock) {
            (self.dense, self.other) = (dense, other)
        }

        func willRead(_ x: Tensor, _ input: Projection.Input) throws {
            for projection in input.projections {
                let y = try dense[projection](x)
                let difference = try y - other[projection](x)
                errors.append(
                    try difference.squared().sum().scalar() / y.squared().sum().scalar())
            }
        }
    }

    /// Every matrix of the model in halves or quarters, one of them dense.
    private func patchedPlan() throws -> CompressionPlan {
        let configuration = try ModelConfiguration(folder: Self.tiny)
        let checkpoint = try Checkpoint(Self.tiny)
        return CompressionPlan(
            source: try checkpoint.fingerprint(), settings: [:],
            matrices: configuration.linearModules.enumerated().map { index, module in
                let (r, c) = (module.rows / 2, module.columns / 2)
                let rows = [0..<r, r..<module.rows]
                let columns = index % 2 == 0 ? [0..<module.columns] : [0..<c, c..<module.columns]
                let regions = rows.flatMap { rows in
                    columns.map { MatrixRegion(rows: rows, columns: $0) }
                }
                return MatrixPlan(
                    name: module.name, rows: module.rows, columns: module.columns,
                    patches: regions.enumerated().map { place, region in
                        PatchPlan(
                            region, place == 1 ? .dense : .pivotedLowRank(rank: 24 + 4 * place),
                            as: .bfloat16)
                    })
            })
    }

    @Test("patches are fitted, stored, counted and run", arguments: [0.75, nil])
    func patches(anchor: Double?) throws {
        try withFolder { folder in
            let plan = try patchedPlan()
            var settings = CompressionSettings(.plan(plan))
            settings.fit.anchor = anchor
            settings.fit.isTwoSided = false
            let report = try stage("\(folder)/out", settings).run { _, _, _ in }
            #expect(report.linearParametersAfter == (try plan.parameterCount()))
            #expect(report.matrices.allSatisfy { $0.relativeError > 0 && $0.relativeError < 0.5 })
            #expect(report.matrices[1].formats.count == 4)
            let loaded = try CausalLanguageModel(
                Checkpoint("\(folder)/out"), ModelConfiguration(folder: "\(folder)/out"))
            #expect(loaded.linearParameterCount == report.linearParametersAfter)
            if anchor == nil {
                let measured = try measuredErrors("\(folder)/out", on: windows(3, 64))
                for (record, error) in zip(report.matrices, measured) {
                    // Of the shrunk moment and of the activations themselves.
                    #expect(error < 2 * record.relativeError + 1e-3, "\(record.name): \(error)")
                }
            }
        }
    }

    @Test("the reported errors are those of the outputs on the calibration text")
    func errors() throws {
        try withFolder { folder in
            var settings = CompressionSettings(format: .lowRank, keep: 0.5)
            settings.fit = .unanchored(.full, shrinkage: 0)
            let report = try stage("\(folder)/out", settings).run { _, _, _ in }
            let measured = try measuredErrors("\(folder)/out", on: windows(3, 64))
            for (record, error) in zip(report.matrices, measured) {
                // The stored factors are rounded to bfloat16: 2⁻⁸ relative each, so its square and a
                // cross term are what may come on top.
                #expect(abs(record.relativeError - error) < 1e-4 + 0.05 * error, "\(record.name)")
            }
        }
    }

    @Test(
        "calibration text never makes the outputs worse than a fit of the weights",
        arguments: [Format.Kind.lowRank, .pivotedLowRank, .tensorTrain])
    func weighting(kind: Format.Kind) throws {
        try withFolder { folder in
            let text = windows(3, 64)
            let weighted = try stage("\(folder)/w", kind).run { _, _, _ in }
            let plain = try stage("\(folder)/p", kind, weighted: false).run { _, _, _ in }
            #expect(weighted.linearParametersAfter == plain.linearParametersAfter)
            let errors = zip(
                try measuredErrors("\(folder)/w", on: text),
                try measuredErrors("\(folder)/p", on: text))
            for (ours, theirs) in errors { #expect(ours < theirs) }
        }
    }

    @Test("the manifest says what there is, and everything else is the source's")
    func contents() throws {
        try withFolder { folder in
            let report = try stage("\(folder)/out", .pivotedLowRank, keep: 0.65).run { _, _, _ in }
            let (source, result) = (try Checkpoint(Self.tiny), try Checkpoint("\(folder)/out"))
            let manifest = try #require(result.manifest)
            #expect(manifest.source == (try source.fingerprint()))
            #expect(manifest.matrices.count == 42)
            #expect(report.linearParametersAfter == (try manifest.plan.parameterCount()))
            #expect(
                Double(report.linearParametersAfter) <= 0.65 * Double(report.linearParametersBefore)
            )
            for name in result.tensorNames where !manifest.tensorNames.contains(name) {
                #expect(
                    try result.tensor(named: name).elements(as: Float.self)
                        == (try source.tensor(named: name).elements(as: Float.self)))
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["out"])
            #expect(
                FileManager.default.contents(atPath: "\(folder)/out/tokenizer.json")
                    == FileManager.default.contents(atPath: Self.tiny + "/tokenizer.json"))
        }
    }

    struct Stop: Error {}

    @Test("a run that is stopped at any step continues to the same bytes")
    func resuming() throws {
        try withFolder { folder in
            _ = try stage("\(folder)/whole").run { _, _, _ in }
            let expected = FileManager.default.contents(atPath: "\(folder)/whole/model.safetensors")
            var stops = 0
            while true {
                var steps = 0
                do {
                    // A block has 5 · 3 windows + 7 matrices: every run gets a little further.
                    _ = try stage("\(folder)/stopped").run { _, _, note in
                        steps += note.hasSuffix("was done") ? 0 : 1
                        if steps > 23 { throw Stop() }
                    }
                    break
                } catch is Stop {
                    stops += 1
                    #expect(!FileManager.default.fileExists(atPath: "\(folder)/stopped"))
                }
            }
            #expect(stops >= 3)
            #expect(
                FileManager.default.contents(atPath: "\(folder)/stopped/model.safetensors")
                    == expected)
        }
    }

    @Test("a run with other text or settings is refused by name, and left alone")
    func otherRuns() throws {
        try withFolder { folder in
            let output = "\(folder)/out"
            #expect(throws: Stop.self) { try stage(output).run { _, _, _ in throw Stop() } }
            let text = try #require(throws: CompressError.self) {
                try stage(output, windows: windows(3, 64, seed: 5)).run { _, _, _ in }
            }
            #expect("\(text)".contains("another calibration text"))
            let keep = try #require(throws: CompressError.self) {
                try stage(output, keep: 0.4).run { _, _, _ in }
            }
            #expect("\(keep)".contains("another keep"))
            _ = try stage(output).run { _, _, _ in }
        }
    }

    @Test("faults of the input are named before any work")
    func faults() throws {
        try withFolder { folder in
            let output = "\(folder)/out"
            #expect(throws: CalibrationError.self) {
                try stage(output, windows: []).run { _, _, _ in }
            }
            let token = try #require(throws: CalibrationError.self) {
                try stage("\(folder)/token", windows: [[1, 4_096]]).run { _, _, _ in }
            }
            #expect("\(token)".contains("4096"))
            #expect(throws: CompressError.self) {
                try stage("\(folder)/keep", keep: 1.2).run { _, _, _ in }
            }
            _ = try stage("\(folder)/once").run { _, _, _ in }
            let again = CompressStage(
                source: "\(folder)/once", output: "\(folder)/twice",
                settings: CompressionSettings(format: .lowRank, keep: 0.5),
                calibration: .text(windows(1, 8)))
            let error = try #require(throws: CompressError.self) { try again.run { _, _, _ in } }
            #expect("\(error)".contains("compressed already"))
        }
    }

    private func plan(
        _ change: (LinearModule) -> MatrixPlan?, source: Fingerprint? = nil
    ) throws -> CompressionPlan {
        CompressionPlan(
            source: try source ?? Checkpoint(Self.tiny).fingerprint(), settings: [:],
            matrices: try ModelConfiguration(folder: Self.tiny).linearModules.compactMap(change))
    }

    private func planned(_ plan: CompressionPlan, _ output: String) -> CompressStage {
        stage(output, CompressionSettings(.plan(plan)), windows: windows(2, 32))
    }

    @Test("a plan is carried out matrix by matrix; what it leaves dense stays as it is")
    func plans() throws {
        try withFolder { folder in
            let plan = try plan { module in
                let isCompressed = module.name.hasPrefix("model.layers.2.") && module.rows != 128
                return MatrixPlan(
                    module, isCompressed ? .pivotedLowRank(rank: 40) : .dense, as: .bfloat16)
            }
            let report = try planned(plan, "\(folder)/out").run { _, _, _ in }
            #expect(report.matrices.count == 5, "q, o, gate, up and down of block 2")
            let (source, result) = (try Checkpoint(Self.tiny), try Checkpoint("\(folder)/out"))
            #expect(result.manifest?.matrices.count == 5)
            #expect(result.manifest?.plan.matrices == plan.matrices)
            for name in [
                "model.layers.2.self_attn.k_proj.weight", "model.layers.5.mlp.up_proj.weight",
            ] {
                #expect(
                    try result.tensor(named: name).elements(as: Float.self)
                        == (try source.tensor(named: name).elements(as: Float.self)))
            }
            #expect(result.info("model.layers.2.mlp.up_proj.weight") == nil)
        }
    }

    @Test("a plan for another checkpoint, or for other matrices, is refused by name")
    func foreignPlans() throws {
        try withFolder { folder in
            func refusal(_ plan: CompressionPlan) throws -> String {
                let error = try #require(throws: CompressError.self) {
                    try planned(plan, "\(folder)/out").run { _, _, _ in }
                }
                return "\(error)"
            }
            func dense(_ module: LinearModule) -> MatrixPlan {
                MatrixPlan(module, .dense, as: .bfloat16)
            }
            let other = Fingerprint(hashing: [[1]])
            let foreign = try refusal(try plan(dense, source: other))
            #expect(foreign.contains(other.hex.prefix(12)))
            let name = "model.layers.1.mlp.down_proj"
            let incomplete = try refusal(try plan { $0.name == name ? nil : dense($0) })
            #expect(incomplete.contains(name))
            let left = try FileManager.default.contentsOfDirectory(atPath: folder)
            #expect(left.isEmpty)
        }
    }

    @Test("anchored fits leave the compressed model's hidden states closer to the dense model's")
    func anchoring() throws {
        try withFolder { folder in
            func distance(anchor: Double?) throws -> Double {
                var settings = CompressionSettings(format: .pivotedLowRank, keep: 0.5)
                settings.fit = .unanchored(.full)
                settings.fit.anchor = anchor
                let stage = stage("\(folder)/\(anchor ?? 0)", settings)
                _ = try stage.run { _, _, _ in }
                let configuration = try ModelConfiguration(folder: Self.tiny)
                let dense = try CausalLanguageModel(try Checkpoint(Self.tiny), configuration)
                let other = try CausalLanguageModel(try Checkpoint(stage.output), configuration)
                let ids = try Tensor(windows(3, 64).flatMap { $0 }, shape: [3, 64])
                var none: KVCache?
                let (x, y) = (
                    try dense.hiddenStates(ids, cache: &none),
                    try other.hiddenStates(ids, cache: &none)
                )
                return try (x - y).squared().sum().scalar()
            }
            let (plain, anchored) = (try distance(anchor: nil), try distance(anchor: 1))
            #expect(anchored < 0.7 * plain)
        }
    }

    @Test("dense export multiplies out what the compressed model computes with")
    func export() throws {
        try withFolder { folder in
            _ = try stage("\(folder)/out", .pivotedLowRank, keep: 0.65).run { _, _, _ in }
            try DenseExport(source: "\(folder)/out", output: "\(folder)/dense").run { _, _ in }
            let configuration = try ModelConfiguration(folder: Self.tiny)
            let compressed = WeightLoader(try Checkpoint("\(folder)/out"), as: .float64, on: .cpu)
            let dense = WeightLoader(try Checkpoint("\(folder)/dense"), as: .float64, on: .cpu)
            for module in configuration.linearModules(ofLayer: 3) {
                let network = try compressed.linear(module).weight.dense()
                let matrix = try dense.tensor(module.weight.name)
                let error = try (network - matrix).magnitude().max().scalar()
                let largest = try network.magnitude().max().scalar()
                #expect(error <= largest * ElementType.bfloat16.roundoff)
            }
            #expect(try Checkpoint("\(folder)/dense").manifest == nil)
        }
    }
}
