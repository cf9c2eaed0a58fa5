import Artifacts
import Calibration
import Foundation
import Models
import TensorNetworks
import Tensors
import Testing

@testable import Compress

@Suite("Quantised checkpoints")
struct QuantizeStageTests {
    private let shared = CompressStageTests()

    /// Query, key and value of each block share a factor, output is cut into a pair and a dense half, gate is a sum,
    /// up stays as it is, down is a pivoted train; behind the first block, to save time, gate and down are pairs.
    private func plan() throws -> CompressionPlan {
        let configuration = try ModelConfiguration(folder: CompressStageTests.tiny)
        var matrices: [MatrixPlan] = []
        for layer in 0..<configuration.layerCount {
            let leader = configuration.module(.query, ofLayer: layer).name
            for projection in Projection.allCases {
                let module = configuration.module(projection, ofLayer: layer)
                let half = module.rows / 2
                func patch(_ rows: Range<Int>, _ format: Format) -> PatchPlan {
                    PatchPlan(
                        MatrixRegion(rows: rows, columns: 0..<module.columns), format,
                        as: .bfloat16)
                }
                switch projection {
                case .query, .key, .value:
                    matrices.append(
                        MatrixPlan(
                            module, .lowRank(rank: 48), as: .bfloat16,
                            sharingInputOf: projection == .query ? nil : leader))
                case .output:
                    matrices.append(
                        MatrixPlan(
                            name: module.name, rows: module.rows, columns: module.columns,
                            patches: [
                                patch(0..<half, .pivotedLowRank(rank: 40)),
                                patch(half..<module.rows, .dense),
                            ]))
                case .up:
                    matrices.append(MatrixPlan(module, .dense, as: .bfloat16))
                case .gate where layer > 0, .down where layer > 0:
                    matrices.append(MatrixPlan(module, .lowRank(rank: 40), as: .bfloat16))
                case .gate, .down:
                    let train = try #require(
                        Format.fitting(
                            .pivotedTensorTrain, rows: module.rows, columns: module.columns,
                            parameters: module.rows * module.columns / 4, modeCount: 2))
                    let format =
                        projection == .gate ? .mixture([.lowRank(rank: 40), train]) : train
                    matrices.append(MatrixPlan(module, format, as: .bfloat16))
                }
            }
        }
        return CompressionPlan(
            source: try Checkpoint(CompressStageTests.tiny).fingerprint(), settings: [:],
            matrices: matrices)
    }

    private func check(_ folder: String, _ type: ElementType) throws {
        let checkpoint = try Checkpoint(folder)
        let configuration = try ModelConfiguration(folder: folder)
        try checkpoint.validate(against: configuration)
        let manifest = try #require(checkpoint.manifest)
        #expect(manifest.matrices.count == configuration.linearModules.count)
        #expect(manifest.matrices.flatMap(\.patches).allSatisfy { $0.elementType == type })
        #expect(manifest.plan.settings["rounding"] == .string("compensated"))
        let leader = configuration.module(.query, ofLayer: 1).name
        let follower = try #require(
            manifest.matrix(configuration.module(.value, ofLayer: 1).name)?.patches.first)
        #expect(follower.tensors["input"] == "\(leader).input")
        #expect(follower.tensors["input.scales"] == "\(leader).input.scales")
        let model = try CausalLanguageModel(checkpoint, configuration)
        #expect(try model.linearParameterCount == manifest.plan.parameterCount())
        let ids = try Tensor((0..<20).map { $0 * 7 + 3 }, shape: [1, 20])
        #expect(try withoutGradients { try model.logits(ids).finite().all().scalar() } == 1)
    }

    @Test(
        "what is compressed to one byte a value, at once or afterwards, loses little and takes as much"
    )
    func stages() throws {
        let type = ElementType.int8
        try shared.withFolder { folder in
            var settings = CompressionSettings(.plan(try plan()))
            settings.fit.isTwoSided = false
            settings.fit.anchor = nil
            let wide = try shared.stage("\(folder)/wide", settings).run { _, _, _ in }
            settings.weights = type
            let narrow = try shared.stage("\(folder)/narrow", settings).run { _, _, _ in }
            #expect(narrow.matrices.count == 42 && wide.matrices.count < 42)
            let before = Dictionary(
                uniqueKeysWithValues: wide.matrices.map { ($0.name, $0.relativeError) })
            for matrix in narrow.matrices {
                let least = before[matrix.name] ?? 0
                #expect(matrix.relativeError > least)
                #expect(
                    matrix.relativeError < least + 1e-3, "\(matrix.name)")
            }
            try check("\(folder)/narrow", type)

            var stage = QuantizeStage(
                source: "\(folder)/wide", output: "\(folder)/after", weights: type,
                rounding: .compensated, calibration: .text(shared.windows(3, 64)))
            stage.cache = "\(folder)/cache"
            var (last, all) = (0, 0)
            let after = try stage.run { done, total, _ in (last, all) = (done, total) }
            #expect(last == all && all == 60, "42 matrices, and 3 windows in each of 6 blocks")
            #expect(after.linearParametersAfter == narrow.linearParametersAfter)
            #expect(after.bytesAfter == narrow.bytesAfter)
            #expect(
                after.matrices.allSatisfy { $0.relativeError < 1e-3 })
            try check("\(folder)/after", type)

            // Killed behind a matrix of the fourth block, between a shared factor's first and last, and continued.
            struct Killed: Error {}
            var second = QuantizeStage(
                source: "\(folder)/wide", output: "\(folder)/resumed", weights: type,
                rounding: .compensated, calibration: .text(shared.windows(3, 64)))
            second.cache = "\(folder)/cache"
            #expect(throws: Killed.self) {
                try second.run { done, _, _ in if done == 26 { throw Killed() } }
            }
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/resumed"))
            var fresh: [String] = []
            let resumed = try second.run { _, _, note in fresh.append(note) }
            // Moments are there from before, and are no steps.
            #expect(fresh.count { $0.hasSuffix("was done") } == 26)
            #expect(resumed.matrices.map(\.relativeError) == after.matrices.map(\.relativeError))
            let files = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/after")
            for file in files {
                let (one, other) = (
                    FileManager.default.contents(atPath: "\(folder)/after/\(file)"),
                    FileManager.default.contents(atPath: "\(folder)/resumed/\(file)")
                )
                #expect(one == other, "\(file)")
            }
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/resumed.run"))
        }
    }
}
