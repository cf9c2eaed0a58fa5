import Artifacts
import Calibration
import Foundation
import Models
import TensorNetworks
import Tensors
import Testing

@testable import Analyze

@Suite("AnalyzeStage")
struct AnalyzeStageTests {
    private static let tiny = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Models/tiny").path

    private func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("minima-analyze-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try body(folder)
    }

    private func stage(_ cache: String) -> AnalyzeStage {
        let windows = (0..<2).map { window in (0..<48).map { (window * 977 + $0 * 31) % 4_096 } }
        var stage = AnalyzeStage(source: Self.tiny, calibration: .text(windows))
        stage.cache = cache
        return stage
    }

    @Test("the price of a rank is what its best fit loses in the norm of both moments")
    func prices() throws {
        try withFolder { folder in
            let stage = stage(folder)
            let map = try stage.run { _, _, _ in }
            #expect(map.matrices.count == 42)
            try map.validate()
            let checkpoint = try Checkpoint(Self.tiny)
            let configuration = try ModelConfiguration(folder: Self.tiny)
            let cache = MomentCache(
                source: map.source, windows: try stage.calibration.windows(), seed: 0, in: folder)
            // A wide, a tall and a square matrix: both sides of the eigenproblem.
            for (projection, layer) in [(Projection.down, 1), (.up, 4), (.query, 0)] {
                let module = configuration.module(projection, ofLayer: layer)
                let found = try #require(map.matrices.first { $0.name == module.name })
                let candidate = found.candidates[found.candidates.count / 2]
                guard case .pivotedLowRank(let rank) = candidate.format else {
                    Issue.record("\(candidate.format)")
                    continue
                }
                func shrunk(_ moment: Tensor, _ share: Double) throws -> Tensor {
                    let moment = try moment.converted(to: .float64)
                    let mean = try moment.diagonal().mean().scalar()
                    let identity = try Tensor.identity(moment.shape[0], .float64)
                    return try moment * (1 - share) + identity * (share * mean)
                }
                let a = try shrunk(cache.moment(of: projection.input, layer: layer), 0.01)
                let g = try shrunk(cache.moment(of: projection, layer: layer), 0.05)
                let w = try checkpoint.tensor(named: module.weight.name).converted(to: .float64)
                // Singular values of L_Gᵀ·W·L, by a decomposition that the stage does not use.
                let (l, lg) = (try #require(try a.cholesky()), try #require(try g.cholesky()))
                let values = try lg.transposed().matmul(w).matmul(l).singularValues()
                    .elements(as: Double.self)
                let expected = values.dropFirst(rank).reduce(0) { $0 + $1 * $1 } / 2
                #expect(abs(candidate.predictedKL - expected) < 1e-6 * expected, "\(module.name)")
                let all = values.reduce(0) { $0 + $1 * $1 }
                let entropy = values.reduce(0) { $0 - $1 * $1 / all * log($1 * $1 / all) }
                #expect(abs(found.entropy - entropy) < 1e-6)
            }
        }
    }

    @Test(
        "prices fall with the rank; scores rank the matrices; a second run reads the first one's map"
    )
    func map() throws {
        try withFolder { folder in
            let map = try stage(folder).run { _, _, _ in }
            for matrix in map.matrices {
                let prices = matrix.candidates.map(\.predictedKL)
                #expect(zip(prices, prices.dropFirst()).allSatisfy { $0 >= $1 })
                #expect((0...1).contains(matrix.score))
            }
            #expect(Set(map.matrices.map(\.score)).count == 42)
            var steps = 0
            #expect(try stage(folder).run { _, _, _ in steps += 1 } == map)
            #expect(steps == 0)
            var other = stage(folder)
            other.shrinkage = 0.1
            #expect(try other.run { _, _, _ in } != map)
        }
    }

    private struct Stop: Error {}

    @Test(
        "an analysis that is stopped anywhere goes on to the same map, and leaves only what is kept"
    )
    func resuming() throws {
        try withFolder { folder in
            let whole = try stage(folder + "/whole").run { _, _, _ in }
            var (stops, allowed, map): (Int, Int, SensitivityMap?) = (0, 5, nil)
            while map == nil {
                var steps = 0
                do {
                    map = try stage(folder + "/stopped").run { _, _, _ in
                        steps += 1
                        if steps > allowed { throw Stop() }
                    }
                } catch is Stop {
                    stops += 1
                    allowed += 9
                }
            }
            #expect(stops >= 5)
            #expect(map == whole)
            func names(_ part: String) throws -> [String] {
                try FileManager.default.subpathsOfDirectory(atPath: "\(folder)/\(part)").sorted()
            }
            #expect(try names("stopped") == names("whole"))
        }
    }

    @Test(
        "patches tile their matrices and are priced like matrices; the plan cuts where the map does"
    )
    func patches() throws {
        try withFolder { folder in
            let configuration = try ModelConfiguration(folder: Self.tiny)
            for (patching, count) in [
                (Patching.heads, configuration.headCount), (.grid(rows: 2, columns: 3), 6),
            ] {
                var stage = stage(folder)
                stage.patching = patching
                let map = try stage.run { _, _, _ in }
                try map.validate()
                let query = map.matrices.filter { $0.name == "model.layers.2.self_attn.q_proj" }
                #expect(query.count == count)
                #expect(
                    map.parameterCount
                        == configuration.linearModules.reduce(0) {
                            $0 + $1.rows * $1.columns
                        })
                #expect(query.allSatisfy { !$0.candidates.isEmpty })
                let plan = try Planner(map, within: .keep(0.6)).propose().plan
                try plan.validate()
                let planned = try #require(plan.matrices.first { $0.name == query[0].name })
                #expect(planned.patches.map(\.region) == query.map(\.region))
                #expect(planned.rows == configuration.queryWidth)
            }
            #expect(Patching("3x2") == .grid(rows: 3, columns: 2))
            for wrong in ["", "x", "0x2", "2x", "2x2x2", "head", "65x1"] {
                #expect(Patching(wrong) == nil, "\(wrong)")
            }
        }
    }

    @Test("formats without a closed form are fitted in several sizes")
    func formats() throws {
        try withFolder { folder in
            var stage = stage(folder)
            stage.formats = [.tensorTrain]
            let map = try stage.run { _, _, _ in }
            for matrix in map.matrices {
                let trains = matrix.candidates.filter { $0.format.kind == .tensorTrain }
                #expect(trains.count >= 3)
                for pair in zip(trains, trains.dropFirst()) {
                    #expect(pair.0.parameters > pair.1.parameters)
                    #expect(pair.0.predictedKL <= pair.1.predictedKL * 1.05)
                }
            }
        }
    }

    @Test("a model of random weights is analysed without a checkpoint, the same every time")
    func random() throws {
        try withFolder { folder in
            let configuration = try ModelConfiguration(
                file: "\(Self.tiny)/config.json", layers: 2)
            func map(_ cache: String) throws -> SensitivityMap {
                var stage = AnalyzeStage(
                    .random(Models.RandomModel(configuration)),
                    calibration: .text([(0..<64).map { $0 * 37 % 4_096 }]))
                stage.cache = folder + cache
                return try stage.run { _, _, _ in }
            }
            let first = try map("/1")
            #expect(first.matrices.count == 14)
            #expect(first.matrices.allSatisfy { $0.candidates.contains { $0.predictedKL > 0 } })
            #expect(try map("/2") == first)
            let files = try FileManager.default.subpathsOfDirectory(atPath: folder + "/1")
            #expect(!files.contains { $0.contains("inputs-") || $0.contains("outputs-") })
        }
    }
}
