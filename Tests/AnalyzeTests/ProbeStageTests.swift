import Artifacts
import Calibration
import Foundation
import Models
import TensorNetworks
import Tensors
import Testing

@testable import Analyze

@Suite("ProbeStage")
struct ProbeStageTests {
    private let folder: TemporaryFolder
    private let model: RandomModel
    private let map: SensitivityMap
    private let analysis: AnalyzeStage

    init() throws {
        folder = try TemporaryFolder()
        model = try RandomModel()
        var analysis = AnalyzeStage(
            source: model.path, calibration: .text(RandomModel.windows))
        analysis.cache = folder.path
        self.analysis = analysis
        map = try analysis.run { _, _, _ in }
    }

    private func stage(_ map: SensitivityMap? = nil, program: String = "test") throws -> ProbeStage
    {
        var stage = ProbeStage(
            analysis, map: map ?? self.map,
            store: try MeasurementStore(MeasurementStore.path(in: folder.path)))
        stage.program = program
        return stage
    }

    @Test("a probe's divergence is that of the whole model with the fitted weight in it")
    func wholeModel() throws {
        let configuration = try ModelConfiguration(folder: model.path)
        let checkpoint = try Checkpoint(model.path)
        let windows = RandomModel.windows
        let cache = MomentCache(
            source: map.source, windows: windows, seed: 0, in: folder.path)
        let wanted: [(Projection, Int)] = [(.query, 0), (.output, 1), (.down, 2), (.up, 1)]
        let probes = try wanted.map { projection, layer in
            let name = configuration.module(projection, ofLayer: layer).name
            let index = try #require(map.matrices.firstIndex { $0.name == name })
            return Probe(matrix: index, candidate: map.matrices[index].candidates.count / 3)
        }
        let found = try stage().run(probes)
        let p = try model.logProbabilities(windows)
        for ((projection, layer), (probe, measurement)) in zip(wanted, zip(probes, found)) {
            let module = configuration.module(projection, ofLayer: layer)
            let weight = try checkpoint.tensor(named: module.weight.name)
            let objective = try FitObjective(
                weight: weight.converted(to: .float64),
                input: cache.moment(of: projection.input, layer: layer),
                output: cache.moment(of: projection, layer: layer),
                shrinkage: 0.01, outputShrinkage: 0.05)
            let format = map.matrices[probe.matrix].candidates[probe.candidate].format
            let fitted = try Factorization.fit(objective, format: format).factorization
                .reconstructed()
            let replaced = try RandomModel(
                replacing: [module.weight.name: fitted.converted(to: .float32)])
            let q = try replaced.logProbabilities(windows)
            let divergences = zip(p, q).map { p, q in
                zip(p, q).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
            }
            let expected = divergences.reduce(0, +) / Double(divergences.count)
            #expect(expected > 1e-4)
            #expect(
                abs(measurement.divergence - expected) < 1e-3 * expected + 1e-7, "\(module.name)")
            #expect(measurement.tokens == 120)
            // E‖(W − Ŵ)x‖² / E‖Wx‖² from the moment itself.
            let a = try cache.moment(of: projection.input, layer: layer).converted(to: .float64)
            let w = try weight.converted(to: .float64)
            func energy(_ m: Tensor) throws -> Double { try (m.matmul(a) * m).sum().scalar() }
            let error = try energy(w - fitted) / energy(w)
            #expect(abs(measurement.outputError - error) < 1e-4 * error)
        }
    }

    @Test("a candidate of full rank costs nothing")
    func fullRank() throws {
        let whole = SensitivityMap(
            source: map.source, settings: [:],
            matrices: try map.matrices.map { matrix in
                matrix.revised(candidates: [
                    try Candidate(
                        .pivotedLowRank(rank: min(matrix.rows, matrix.columns)),
                        rows: matrix.rows, columns: matrix.columns, as: matrix.elementType,
                        predictedKL: 0)
                ])
            })
        let probes = whole.matrices.indices.map { Probe(matrix: $0, candidate: 0) }
        for measurement in try stage(whole).run(probes) {
            #expect(measurement.divergence < 1e-6)
            #expect(measurement.outputError < 1e-8)
        }
    }

    @Test("a run goes on where the one before was stopped, and measures nothing twice")
    func resume() throws {
        struct Stop: Error {}
        let sample = ProbeSample.stratified(map, count: 9)
        #expect(throws: Stop.self) {
            try stage(program: "first").run(sample) { done, _, _ in if done == 4 { throw Stop() } }
        }
        let kept = try stage().store.measurements()
        #expect(kept.count == 4)
        let all = try stage(program: "second").run(sample)
        #expect(all.count == 9)
        #expect(all.count { $0.program == "first" } == 4)
        #expect(try stage(program: "third").run(sample) == all)
        let features = try stage().store.features(of: map.source)
        #expect(features?.matrices.count == map.matrices.count)
        // Another text is another measurement.
        var other = try stage(program: "other")
        other.tokens = 40
        let found = try other.run(Array(sample.prefix(1)))
        #expect(found.first?.program == "other")
        #expect(found.first?.tokens == 40)
    }

    @Test("two runs at a time share the work")
    func concurrent() throws {
        let sample = ProbeSample.stratified(map, count: 12)
        let (analysis, map, root) = (
            UncheckedBox(self.analysis), self.map, folder.path
        )
        let failures = Failures()
        let results = Results()
        DispatchQueue.concurrentPerform(iterations: 2) { worker in
            do {
                var stage = ProbeStage(
                    analysis.value, map: map,
                    store: try MeasurementStore(MeasurementStore.path(in: root)))
                stage.program = "run \(worker)"
                results.add(try stage.run(sample))
            } catch {
                failures.add("\(error)")
            }
        }
        #expect(failures.all.isEmpty, "\(failures.all)")
        // Had one measured what the other had, it would return its own.
        #expect(results.all.count == 2)
        #expect(results.all.first == results.all.last)
        #expect(try stage().store.measurements().count == 12)
    }

    @Test(
        "samples spread over depth, projections and sizes; the longer one begins with the shorter")
    func sample() throws {
        let all = ProbeSample.stratified(map, count: 42)
        #expect(all.count == 42)
        #expect(Set(all).count == 42)
        #expect(ProbeSample.stratified(map, count: 10) == Array(all.prefix(10)))
        #expect(ProbeSample.stratified(map, count: 10, seed: 1) != Array(all.prefix(10)))
        let first = all.prefix(21).map { map.matrices[$0.matrix].name }
        #expect(Set(first).count == 21, "every matrix comes once before any comes twice")
        let few = all.prefix(7).compactMap { MatrixPlace(name: map.matrices[$0.matrix].name) }
        #expect(Set(few.map(\.projection)).count == 7)
        #expect(Set(few.map(\.layer)).count == 3)
        let complete = ProbeSample.complete(map, shares: [0.3, 0.5, 0.7])
        #expect(Set(complete).count == complete.count)
        #expect(Set(complete.map(\.matrix)).count == map.matrices.count)
    }
}

private struct UncheckedBox<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

private final class Results: @unchecked Sendable {
    private let lock = NSLock()
    private var found: [[ProbeMeasurement]] = []

    func add(_ result: [ProbeMeasurement]) { lock.withLock { found.append(result) } }
    var all: [[ProbeMeasurement]] { lock.withLock { found } }
}
