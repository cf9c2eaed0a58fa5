import Artifacts
import Foundation
import Heal
import Models
import Tensors
import Testing

@testable import Speculate

@Suite("Training of drafts")
struct DraftStageTests {
    private let tiny = TestData.root + "/Models/tiny"

    private func target() throws -> CausalLanguageModel {
        try CausalLanguageModel(Checkpoint(tiny), ModelConfiguration(folder: tiny))
    }

    private struct Stopped: Error {}

    @Test("learns, goes on where it was killed with the same weights, and writes what loads")
    func training() throws {
        let folder = NSTemporaryDirectory() + "minima-draft-training-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var settings = DraftStage.usualSettings
        (settings.window, settings.batchTokens, settings.tokens) = (24, 96, 8 * 96)
        settings.learningRate = 3e-3
        var options = DraftOptions()
        (options.passes, options.vocabulary) = (3, 300)
        func stage(_ name: String) -> DraftStage {
            var place = TrainingPlace(
                corpus: [TestData.root + "/Examples/calibration.txt"], output: "\(folder)/\(name)")
            place.evaluation = [TestData.root + "/Examples/evaluation.txt"]
            place.cache = folder + "/cache"
            place.saving.steps = 3
            return DraftStage(model: tiny, options: options, settings: settings, place: place)
        }
        let report = try stage("whole").run { _ in }
        let (before, after) = (try #require(report.before), try #require(report.after))
        #expect(after.loss[0] < before.loss[0] && after.loss[2] < before.loss[2])
        #expect(report.curve.count == 8 && report.vocabularySize == 300)
        #expect(report.coverage > 0.3 && report.coverage < 1)

        #expect(throws: Stopped.self) {
            try stage("killed").run { event in
                if case .step(let progress) = event, progress.step == 5 { throw Stopped() }
            }
        }
        _ = try stage("killed").run { _ in }
        func weights(_ name: String) throws -> [UInt8] {
            Array(
                try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)/model.safetensors")))
        }
        #expect(try weights("whole") == weights("killed"))

        let draft = try DraftModel(folder: "\(folder)/whole", for: target())
        #expect(draft.configuration.target == report.target)
        #expect(draft.tappedLayers(of: 6) == [1, 3, 5])
        #expect(
            try draft.targets.elements(as: Int.self)
                == draft.targets.elements(as: Int.self).sorted())
        // The same folder is not written again unasked.
        #expect(throws: OutputError.self) { try stage("whole").run { _ in } }
        options.passes = 30
        #expect(throws: DraftError.self) { try stage("long").run { _ in } }
    }

    @Test("passes of training are the steps of a chain of drafts")
    func unrolled() throws {
        let target = try target()
        let draft = try DraftModel(folder: TestData.root + "/Models/tiny-draft", for: target)
        let (tokens, passes, hidden) = (11, 4, target.configuration.hiddenSize)
        let ids = try Tensor(
            (0..<tokens + passes).map { Int32(($0 * 997 + 12) % 4_096) },
            shape: [1, tokens + passes])
        let features = try Tensor.normal([1, tokens, 3 * hidden], seed: 3)
        var attention = try UnrolledAttention(draft.configuration.layer, tokens: tokens, on: .cpu)
        var g = try draft.combine(features)
        var outputs: [Tensor] = []
        for pass in 0..<passes {
            g = try draft.forward(
                ids.narrowed(1, 1 + pass..<1 + pass + tokens), g,
                angles: draft.rotary.angles(at: pass..<pass + tokens)
            ) { try attention.attend($0, $1, $2) }
            outputs.append(g)
        }
        let all = try ids.elements(as: Int32.self)
        for position in [0, 4, tokens - 1] {
            let cache = try PagedCache(
                draft.configuration.layer, blocks: 3, blockTokens: 8, as: .float32, on: .cpu)
            func run(_ start: Int, _ count: Int, _ g: Tensor) throws -> Tensor {
                try draft.forward(
                    g,
                    draft.batch(
                        [
                            .init(
                                tokens: Array(all[start + 1..<start + 1 + count]), start: start,
                                blocks: [2, 0, 1])
                        ], cache))
            }
            let known = try draft.combine(features.squeezed(0).narrowed(0, 0..<position + 1))
            var output = try run(0, position + 1, known).narrowed(0, position..<position + 1)
            for pass in 0..<passes {
                if pass > 0 { output = try run(position + pass, 1, output) }
                let expected = try outputs[pass].squeezed(0).narrowed(0, position..<position + 1)
                let scale = try expected.magnitude().max().scalar()
                let error = try (output - expected).magnitude().max().scalar()
                #expect(error < 1e-4 * scale, "position \(position), pass \(pass)")
            }
        }
    }
}
