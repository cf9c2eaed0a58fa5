import Artifacts
import Calibration
import Foundation
import Models
import TensorNetworks
import Tensors
import Testing

@testable import Compress

/// What the fit settings of a plan, and factors that matrices share, do to a model.
@Suite("Fit settings and shared factors")
struct FitSettingsTests {
    private static let tiny = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Models/tiny").path

    private func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("minima-fit-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try body(folder)
    }

    private var windows: [[Int]] {
        (0..<3).map { window in (0..<64).map { (window * 977 + $0 * 31 + 1) % 4_096 } }
    }

    /// A plan in which only `names` are compressed, to rank 40; `leaders` says whose factor they share.
    private func plan(
        _ names: [String], sharing leaders: [String: String] = [:], rank: Int = 40,
        fit: FitSettings? = nil
    ) throws -> CompressionPlan {
        CompressionPlan(
            source: try Checkpoint(Self.tiny).fingerprint(), settings: [:], fit: fit,
            matrices: try ModelConfiguration(folder: Self.tiny).linearModules.map { module in
                MatrixPlan(
                    module, names.contains(module.name) ? .lowRank(rank: rank) : .dense,
                    // Not to be blurred by rounding.
                    as: names.contains(module.name) ? .float32 : .bfloat16,
                    sharingInputOf: leaders[module.name])
            })
    }

    private func stage(_ plan: CompressionPlan, _ folder: String) -> CompressStage {
        var stage = CompressStage(
            source: Self.tiny, output: folder + "/out",
            settings: CompressionSettings(.plan(plan)), calibration: .text(windows))
        stage.cache = folder + "/cache"
        return stage
    }

    private func weight(_ name: String, of folder: String) throws -> Tensor {
        let configuration = try ModelConfiguration(folder: folder)
        let module = try #require(configuration.linearModules.first { $0.name == name })
        return try WeightLoader(Checkpoint(folder), as: .float64, on: .cpu).linear(module)
            .weight.dense()
    }

    /// Of the dense model, in float64 from what the cache holds.
    private func moment(
        _ input: Projection.Input, _ layer: Int, _ folder: String
    ) throws -> Tensor {
        try MomentCache(
            source: Checkpoint(Self.tiny).fingerprint(), windows: windows, seed: 0,
            in: folder + "/cache"
        ).moment(of: input, layer: layer).converted(to: .float64)
    }

    private func distance(_ a: Tensor, _ b: Tensor) throws -> Double {
        try (a - b).norm().scalar() / b.norm().scalar()
    }

    private func truncated(_ matrix: Tensor, _ rank: Int) throws -> Tensor {
        let (u, s, vt) = try matrix.svd()
        return try (u * s).narrowed(1, 0..<rank).matmul(vt.narrowed(0, 0..<rank))
    }

    private let query = "model.layers.1.self_attn.q_proj"
    private let key = "model.layers.1.self_attn.k_proj"
    private let value = "model.layers.1.self_attn.v_proj"

    @Test("without a metric the fit is the SVD of the weights, and reads no text")
    func weightsMetric() throws {
        try withFolder { folder in
            let stage = stage(try plan([query], fit: .unanchored(.weights)), folder)
            let report = try stage.run { _, _, _ in }
            let expected = try truncated(weight(query, of: Self.tiny), 40)
            #expect(try distance(weight(query, of: stage.output), expected) < 1e-6)
            #expect(report.calibrationTokens == 0)
            #expect(!FileManager.default.fileExists(atPath: stage.cache))
        }
    }

    @Test("the diagonal metric is the SVD of the weights with their input channels scaled")
    func diagonalMetric() throws {
        try withFolder { folder in
            let fit = FitSettings.unanchored(.diagonal, shrinkage: 0)
            let stage = stage(try plan([query], fit: fit), folder)
            _ = try stage.run { _, _, _ in }
            let scale = try moment(.attention, 1, folder).diagonal().squareRoot().squareRoot()
            let expected = try truncated(weight(query, of: Self.tiny) * scale, 40) / scale
            #expect(try distance(weight(query, of: stage.output), expected) < 1e-5)
            let plain = try truncated(weight(query, of: Self.tiny), 40)
            #expect(try distance(plain, expected) > 0.01, "which is another matrix")
            #expect(try Checkpoint(stage.output).manifest?.plan.fit == fit)
        }
    }

    @Test("matrices of one input that share its factor: the SVD of their stack, stored once")
    func group() throws {
        try withFolder { folder in
            let names = [query, key, value]
            let plan = try plan(
                names, sharing: [key: query, value: query],
                fit: .unanchored(.full, shrinkage: 0.01))
            let stage = stage(plan, folder)
            let report = try stage.run { _, _, _ in }
            let a = try SecondMoment(
                moment(.attention, 1, folder), size: 256, shrinkage: 0.01, name: "a")
            let l = try #require(try a.matrix.cholesky())
            let stack = try Tensor.concatenated(
                names.map { try weight($0, of: Self.tiny) }, along: 0)
            let expected = try l.solveTriangular(
                truncated(stack.matmul(l), 40), upper: false, onLeft: false)
            let found = try Tensor.concatenated(
                names.map { try weight($0, of: stage.output) }, along: 0)
            #expect(try distance(found, expected) < 1e-5)

            let stored = 40 * (256 + 128 + 128 + 256)
            #expect(report.matrices.map(\.name) == names)
            #expect(report.matrices.reduce(0) { $0 + $1.parameters } == stored)
            let dense = report.linearParametersBefore - 256 * 512
            #expect(report.linearParametersAfter == dense + stored)
            let result = try Checkpoint(stage.output)
            #expect(result.info("\(query).input")?.shape == [40, 256])
            #expect(result.info("\(key).input") == nil)
            #expect(result.info("\(key).output")?.shape == [128, 40])
            let model = try CausalLanguageModel(result, ModelConfiguration(folder: stage.output))
            #expect(model.linearParameterCount == report.linearParametersAfter)
        }
    }

    @Test(
        "across blocks: the SVD of the stack, whitened by the mean moment; a resumed run keeps it")
    func acrossBlocks() throws {
        try withFolder { folder in
            let (one, other) = ("model.layers.1.mlp.up_proj", "model.layers.4.mlp.up_proj")
            let plan = try plan(
                [one, other], sharing: [one: other], rank: 60, fit: .unanchored(.full))
            let stage = stage(plan, folder)
            struct Stop: Error {}
            // After the block in which both were fitted.
            #expect(throws: Stop.self) {
                try stage.run { done, _, note in
                    if done > 6 * 3 + 3 * 7, !note.contains("moments") { throw Stop() }
                }
            }
            let report = try stage.run { _, _, _ in }
            #expect(report.matrices.map(\.name) == [one, other])
            #expect(report.matrices.map(\.parameters) == [768 * 60, 768 * 60 + 60 * 256])
            let mean = try (1...4).filter { $0 != 2 && $0 != 3 }
                .map { try moment(.feedForward, $0, folder) }.reduce(
                    Tensor.zeros([256, 256], .float64)
                ) { try $0 + $1 * 0.5 }
            let a = try SecondMoment(mean, size: 256, shrinkage: 0.01, name: "a")
            let l = try #require(try a.matrix.cholesky())
            let stack = try Tensor.concatenated(
                [one, other].map { try weight($0, of: Self.tiny) }, along: 0)
            let expected = try l.solveTriangular(
                truncated(stack.matmul(l), 60), upper: false, onLeft: false)
            let found = try Tensor.concatenated(
                [one, other].map { try weight($0, of: stage.output) }, along: 0)
            #expect(try distance(found, expected) < 1e-5)
        }
    }

    @Test("anchored fits may share within an input; what does not read the same is refused by name")
    func anchored() throws {
        try withFolder { folder in
            let names = [query, key]
            let stage = stage(try plan(names, sharing: [key: query]), folder)
            _ = try stage.run { _, _, _ in }
            #expect(try Checkpoint(stage.output).manifest?.plan.fit == FitSettings())
            let other = "model.layers.2.self_attn.q_proj"
            let refused = try #require(throws: CompressError.self) {
                try self.stage(
                    plan([query, other], sharing: [other: query]), folder + "/2"
                ).run { _, _, _ in }
            }
            #expect("\(refused)".contains(other) && "\(refused)".contains("anchor"))
        }
    }

    @Test("the moments of a run are those of the next: other formats cost no pass of the text")
    func sharedMoments() throws {
        try withFolder { folder in
            func steps(_ rank: Int, _ output: String) throws -> Int {
                var stage = CompressStage(
                    source: Self.tiny, output: folder + output,
                    settings: CompressionSettings(
                        .plan(try plan([query], rank: rank, fit: .unanchored(.full)))),
                    calibration: .text(windows))
                stage.cache = folder + "/cache"
                var passes = 0
                _ = try stage.run { _, _, note in passes += note.contains("moments") ? 1 : 0 }
                return passes
            }
            #expect(try steps(40, "/a") == 6 * 3)
            #expect(try steps(20, "/b") == 0)
            let left = try FileManager.default.subpathsOfDirectory(atPath: folder + "/cache")
            #expect(left.filter { $0.hasSuffix(".safetensors") }.count == 6, "inputs of six blocks")
        }
    }
}
