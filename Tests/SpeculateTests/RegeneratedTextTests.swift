import Artifacts
import Foundation
import Heal
import Models
import Tensors
import Testing
import Text

@testable import Speculate

@Suite("Text that the model writes for its draft")
struct RegeneratedTextTests {
    private let tiny = TestData.root + "/Models/tiny"
    private let length = 40

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = NSTemporaryDirectory() + "minima-regenerated-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private func corpus(_ tokenizer: Tokenizer, _ cache: String) throws -> TrainingWindows {
        try TrainingWindows(
            [TestData.root + "/Examples/calibration.txt"], tokenizer, folder: tiny, length: length,
            cache: cache
        ) { _ in }
    }

    @Test(
        "windows begin as the corpus does and go on as the model says; what is there is not written again"
    )
    func continuations() throws {
        try withFolder { folder in
            let tokenizer = try Tokenizer(path: tiny)
            let corpus = try corpus(tokenizer, folder)
            let model = try CausalLanguageModel(
                Checkpoint(tiny), ModelConfiguration(folder: tiny))
            var settings = Regeneration()
            settings.promptTokens = 16
            func windows(_ settings: Regeneration, _ name: String) throws -> TrainingWindows {
                let place = "\(folder)/\(name)"
                try FileManager.default.createDirectory(
                    atPath: place, withIntermediateDirectories: true)
                return try RegeneratedText(
                    settings, of: corpus, tokens: 5 * length - 3, seed: 7, in: place
                ).windows(by: model, tokenizer) { _ in }
            }
            let written = try windows(settings, "greedy")
            #expect(written.count == 5 && written.length == length)
            var order = WindowOrder(count: corpus.count, seed: 7)
            for index in 0..<5 {
                let tokens = Array(try written.window(index).prefix(length))
                let source = try corpus.window(order.window(at: index))
                #expect(tokens.prefix(16) == source.prefix(16))
                #expect(tokens != Array(source.prefix(length)))
                // All positions at once, as training reads them.
                let likeliest = try withoutGradients {
                    try model.logits(Tensor(tokens, shape: [1, length]))
                        .argmax(-1).elements(as: Int.self)
                }
                #expect(Array(likeliest[15..<length - 1]) == tokens[16...].map(Int.init))
            }
            let file = "\(folder)/greedy/regenerated-0.safetensors"
            let made = try FileManager.default.attributesOfItem(atPath: file)[.modificationDate]
            _ = try windows(settings, "greedy")
            let kept = try FileManager.default.attributesOfItem(atPath: file)[.modificationDate]
            #expect(made as? Date == kept as? Date)

            settings.temperature = 1
            let (drawn, again) = (try windows(settings, "drawn"), try windows(settings, "again"))
            for index in 0..<5 {
                #expect(try drawn.window(index) == again.window(index))
                #expect(try drawn.window(index) != written.window(index))
            }
        }
    }

    @Test("a draft learns from it, and a run with other settings does not go on with it")
    func training() throws {
        try withFolder { folder in
            var settings = DraftStage.usualSettings
            (settings.window, settings.batchTokens, settings.tokens) = (length, 160, 4 * 160)
            var options = DraftOptions()
            (options.passes, options.vocabulary) = (2, 300)
            options.regeneration = Regeneration()
            func run(_ tell: (TrainingEvent) throws -> Void = { _ in }) throws -> DraftReport {
                var place = TrainingPlace(
                    corpus: [TestData.root + "/Examples/calibration.txt"],
                    output: "\(folder)/draft")
                place.cache = folder + "/cache"
                return try withoutActuallyEscaping(tell) { tell in
                    try DraftStage(
                        model: tiny, options: options, settings: settings, place: place
                    ).run { try tell($0) }
                }
            }
            // A prompt as long as the window.
            options.regeneration?.promptTokens = length
            #expect(throws: DraftError.self) { try run() }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)

            options.regeneration?.promptTokens = 8
            struct Stopped: Error {}
            #expect(throws: Stopped.self) {
                try run { if case .step(let progress) = $0, progress.step == 1 { throw Stopped() } }
            }
            options.regeneration?.promptTokens = 9
            #expect(throws: RunFolderError.self) { try run() }
            options.regeneration?.promptTokens = 8
            let report = try run()
            #expect(report.tokens == 4 * 160)
            #expect(
                report.settings["regeneration"]
                    == .object(["prompt-tokens": .integer(8), "temperature": .string("0.0")]))
        }
    }
}
