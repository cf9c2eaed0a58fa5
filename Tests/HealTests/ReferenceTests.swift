import Foundation
import Testing

@testable import Heal

/// Five steps of transformers and torch.optim, by Tests/Reference/training_reference.py.
@Suite("Training as the reference does it")
struct ReferenceTests {
    private struct Expected: Decodable {
        struct Settings: Decodable {
            let learning_rate: Double
            let weight_decay: Double
            let steps: Int
            let warmup: Double
            let floor: Double
            let clip: Double
        }
        let window: Int
        let windows: Int
        let settings: Settings
        let losses: [Double]
        let norms: [Double]
    }

    private static let environment = ProcessInfo.processInfo.environment
    private static let folder =
        (environment["MINIMA_REFERENCE"] ?? "\(SmallModel.root)/.build/reference/tokenizers")
        + "/../training"

    private static let isThere: Bool = {
        if FileManager.default.fileExists(atPath: folder + "/expected.json")
            || environment["MINIMA_REQUIRE_REFERENCE"] == "1"
        {
            return true
        }
        FileHandle.standardError.write(
            Data("==== SKIPPED: \(folder) is not there; run make reference. ====\n".utf8))
        return false
    }()

    @Test("losses and gradients of five steps", .enabled(if: isThere))
    func steps() throws {
        let expected = try JSONDecoder().decode(
            Expected.self,
            from: Data(contentsOf: URL(fileURLWithPath: Self.folder + "/expected.json")))
        let output = try TemporaryFolder()
        var settings = TrainingSettings()
        settings.weights = LossWeights(nextToken: 1, divergence: 0)
        settings.trainsEmbeddings = true
        settings.window = expected.window
        settings.batchTokens = expected.windows * expected.window
        settings.tokens = settings.batchTokens * expected.settings.steps
        settings.learningRate = expected.settings.learning_rate
        settings.weightDecay = expected.settings.weight_decay
        settings.warmup = expected.settings.warmup
        settings.floor = expected.settings.floor
        settings.clip = expected.settings.clip
        var place = TrainingPlace(corpus: [SmallModel.text], output: output.path + "/out")
        place.cache = output.path + "/cache"
        let report = try HealStage(
            model: Self.folder + "/model", teacher: nil, settings: settings, place: place
        ).run { _ in }
        #expect(report.curve.count == expected.losses.count)
        for (point, (loss, norm)) in zip(report.curve, zip(expected.losses, expected.norms)) {
            #expect(abs(point.loss - loss) < 1e-4 * loss, "step \(point.step)")
            #expect(abs(point.gradientNorm - norm) < 1e-3 * norm, "step \(point.step)")
        }
    }
}
