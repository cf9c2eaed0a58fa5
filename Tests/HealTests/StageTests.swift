import Artifacts
import Foundation
import Models
import TensorNetworks
import Tensors
import Testing
import Text

@testable import Heal

@Suite("HealStage", .serialized)
struct StageTests {
    /// A dense model of width 32 with the shipped tokenizer, and it compressed, at `dense` and `small`.
    private final class Models {
        let folder: TemporaryFolder
        let source: Fingerprint
        var dense: String { folder.path + "/dense" }
        var small: String { folder.path + "/small" }
        func path(_ name: String) -> String { "\(folder.path)/\(name)" }

        init(edit: (inout [String: Tensor]) throws -> Void = { _ in }) throws {
            folder = try TemporaryFolder()
            let configuration = try SmallModel.configuration(vocabulary: 4_096)
            var tensors = try SmallModel.tensors(of: configuration)
            try edit(&tensors)
            try SmallModel.write(tensors, configuration, to: folder.path + "/dense")
            source = try Checkpoint(folder.path + "/dense").fingerprint()
            let (parts, manifest) = try SmallModel.compressed(
                tensors, SmallModel.everyFormat(of: configuration), source: source)
            try SmallModel.write(parts, configuration, manifest, to: folder.path + "/small")
        }

        func stage(_ output: String, steps: Int = 6) -> HealStage {
            var settings = TrainingSettings()
            settings.window = 32
            settings.batchTokens = 128
            settings.tokens = 128 * steps
            settings.learningRate = 3e-3
            var place = TrainingPlace(corpus: [SmallModel.text], output: path(output))
            place.cache = path("cache")
            place.saving.steps = 1
            return HealStage(model: small, teacher: dense, settings: settings, place: place)
        }

        func bytes(_ output: String) throws -> [UInt8] {
            try TestText.bytes(path(output) + "/model.safetensors")
        }
    }

    private struct Stop: Error {}

    /// Runs until step `step` has been made.
    private func stop(_ stage: HealStage, after step: Int) {
        #expect(throws: Stop.self) {
            try stage.run { event in
                if case .step(let progress) = event, progress.step == step { throw Stop() }
            }
        }
    }

    /// Without what a clock says.
    private func curve(_ report: HealReport) -> [HealReport.Point] { report.curve }

    @Test("the divergence from the teacher falls, and the result is what was measured")
    func heals() throws {
        let models = try Models()
        var stage = models.stage("out", steps: 60)
        stage.place.evaluation = [SmallModel.otherText]
        let report = try stage.run { _ in }
        let (first, last) = (try #require(report.curve.first), try #require(report.curve.last))
        let (before, after) = (
            try #require(first.divergence), try #require(last.divergence)
        )
        #expect(after < 0.8 * before)
        #expect(report.curve.map(\.step) == Array(1...60))
        #expect(report.tokens == 60 * 128)
        let held = try #require(report.evaluations.first)
        let (heldBefore, heldAfter) = (
            try #require(held.divergenceBefore), try #require(held.divergenceAfter)
        )
        #expect(heldAfter < 0.9 * heldBefore)
        #expect(report.overlap?.evaluationShare == 0)

        // The folder that was written, measured anew.
        let configuration = try ModelConfiguration(folder: models.path("out"))
        let checkpoint = try Checkpoint(models.path("out"))
        try checkpoint.validate(against: configuration)
        let manifest = try Checkpoint(models.small).manifest
        #expect(checkpoint.manifest == manifest)
        let model = try CausalLanguageModel(checkpoint, configuration)
        var windows = TokenWindows(
            try TokenStream(
                Corpus(path: SmallModel.otherText), Tokenizer(path: models.path("out"))),
            length: 32)
        var (sum, count) = (0.0, 0)
        for window in try windows.next(HeldOutText.mostWindows) {
            let ids = try Tensor(window.inputs.map(Int.init), shape: [1, 32])
            let targets = try Tensor(window.targets.map(Int.init))
            sum += try withoutGradients {
                try model.logits(ids).squeezed(0).crossEntropy(targets, mean: false).sum().scalar()
            }
            count += 32
        }
        #expect(held.tokens == count)
        #expect(abs(sum / Double(count) - held.lossAfter) < 1e-5 * held.lossAfter)
        // What did not train is as it was.
        let name = "model.embed_tokens.weight"
        let (old, new) = (
            try Checkpoint(models.small).tensor(named: name), try checkpoint.tensor(named: name)
        )
        let moved = try (old - new).norm().scalar()
        #expect(moved == 0)
        #expect(try HealReport.read(models.path("out") + "/heal.json").curve == report.curve)
        #expect(!FileManager.default.fileExists(atPath: models.path("out.run")))
    }

    @Test("a run that is stopped three times ends with the same losses and the same bytes")
    func resumes() throws {
        let models = try Models()
        let whole = try models.stage("whole").run { _ in }
        let stage = models.stage("parts")
        for step in [1, 2, 5] { stop(stage, after: step) }
        let last = try stage.run { _ in }
        #expect(curve(last) == curve(whole))
        #expect(try models.bytes("parts") == models.bytes("whole"))
        // Kept by time alone, nothing but the stop itself makes a state.
        var rare = models.stage("rare")
        rare.place.saving.steps = nil
        stop(rare, after: 3)
        let late = try rare.run { _ in }
        #expect(curve(late) == curve(whole))
        #expect(try models.bytes("rare") == models.bytes("whole"))
    }

    @Test("a damaged state is named, and the one before it serves")
    func damagedState() throws {
        let models = try Models()
        let whole = try models.stage("whole").run { _ in }
        let stage = models.stage("out")
        stop(stage, after: 4)
        let state = models.path("out.run/state-4.safetensors")
        var bytes = try TestText.bytes(state)
        bytes[bytes.count / 2] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: state))
        var notes: [String] = []
        var firstStep: Int?
        let report = try stage.run { event in
            switch event {
            case .note(let text): notes.append(text)
            case .step(let progress): firstStep = firstStep ?? progress.step
            default: break
            }
        }
        #expect(notes.count == 1 && notes[0].contains("step 4") && notes[0].contains("checksum"))
        #expect(firstStep == 3)
        #expect(curve(report) == curve(whole))
        #expect(try models.bytes("out") == models.bytes("whole"))
    }

    @Test("states that are all damaged are an error, not a beginning")
    func noState() throws {
        let models = try Models()
        let stage = models.stage("out")
        stop(stage, after: 3)
        for step in 2...3 {
            try Data("no state".utf8).write(
                to: URL(fileURLWithPath: models.path("out.run/state-\(step).safetensors")))
        }
        #expect(throws: HealError.self) { try stage.run { _ in } }
    }

    @Test("a loss that is not finite stops, keeps the last state and names the batch")
    func notFinite() throws {
        let tokenizer = try Tokenizer(path: SmallModel.tiny)
        let folder = try TemporaryFolder()
        // One token that stands in one place, and overflows there.
        let rare = try #require(
            (300..<4_096).last { id in
                let text = (tokenizer.token(for: Int32(id)) ?? "")
                return text.count > 3 && text.allSatisfy { $0.isASCII && $0.isLetter }
            })
        let word = try #require(tokenizer.token(for: Int32(rare)))
        #expect(tokenizer.encode(word).contains(Int32(rare)))
        let models = try Models { tensors in
            let table = try #require(tensors["model.embed_tokens.weight"])
            try table.narrowed(0, rare..<rare + 1).fill(3e38)
        }
        let calm = (0..<60).map { "\($0) and \($0 + 1), " }.joined()
        let path = try folder.file("text.txt", calm + word + calm)
        var stage = models.stage("out", steps: 40)
        stage.place.corpus = [path]
        var message = ""
        do {
            _ = try stage.run { _ in }
        } catch let error as HealError {
            message = error.description
        }
        #expect(message.contains("is not finite") && message.contains(path), "\(message)")
        let states = try FileManager.default.contentsOfDirectory(atPath: models.path("out.run"))
        let failed = try #require(message.split(separator: " ").compactMap { Int($0) }.first)
        if failed > 1 { #expect(states.contains("state-\(failed - 1).json")) }
        #expect(!states.contains("state-\(failed).json"))
    }

    @Test("a teacher that is not the model's own is refused, and so is none")
    func wrongTeacher() throws {
        let models = try Models()
        var stage = models.stage("out")
        stage.teacher = SmallModel.tiny
        #expect(throws: HealError.self) { try stage.run { _ in } }
        stage.teacher = models.small
        #expect(throws: HealError.self) { try stage.run { _ in } }
        stage.teacher = nil
        #expect(throws: HealError.self) { try stage.run { _ in } }
        #expect(!FileManager.default.fileExists(atPath: models.path("out.run")))
    }

    @Test("other settings, other text and an occupied output are refused by name")
    func otherSettings() throws {
        let models = try Models()
        let stage = models.stage("out")
        stop(stage, after: 1)
        func message(_ change: (inout HealStage) -> Void) -> String {
            var other = stage
            change(&other)
            do {
                _ = try other.run { _ in }
                return "nothing"
            } catch {
                return "\(error)"
            }
        }
        #expect(message { $0.settings.learningRate = 1 }.contains("another learning-rate"))
        #expect(message { $0.place.corpus = [SmallModel.otherText] }.contains("another corpus"))
        _ = try stage.run { _ in }
        #expect(message { _ in }.contains("--overwrite"))
        #expect(message { $0.place.overwrite = true } == "nothing")
    }

    @Test("evaluation text that is trained on is refused, unless that is asked for")
    func contaminated() throws {
        let models = try Models()
        var stage = models.stage("out")
        stage.place.evaluation = [SmallModel.text]
        #expect(throws: HealError.self) { try stage.run { _ in } }
        stage.place.allowsOverlap = true
        let report = try stage.run { _ in }
        #expect(report.overlap?.evaluationShare == 1)
    }

    @Test("with the teacher's likeliest tokens on disk the model heals as well, and resumes")
    func teacherCache() throws {
        let models = try Models()
        var stage = models.stage("out", steps: 20)
        stage.settings.teacherCount = 64
        let report = try stage.run { _ in }
        let (first, last) = (
            try #require(report.curve.first?.divergence),
            try #require(report.curve.last?.divergence)
        )
        #expect(last < first)
        let cache = try FileManager.default.contentsOfDirectory(atPath: models.path("cache"))
        let kept = try #require(cache.first { $0.hasPrefix("teacher-") })
        // 80 windows, 32 to a file; one is lost, and made again.
        let lost = models.path("cache/\(kept)/windows-1.safetensors")
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: models.path("cache/\(kept)")).count
                == 3)
        try FileManager.default.removeItem(atPath: lost)
        var again = models.stage("again", steps: 20)
        again.settings.teacherCount = 64
        stop(again, after: 7)
        let resumed = try again.run { _ in }
        #expect(resumed.curve == report.curve)
        #expect(try models.bytes("again") == models.bytes("out"))
    }

    @Test("tasks are learnt beside the text")
    func tasks() throws {
        let models = try Models()
        var stage = models.stage("out", steps: 40)
        stage.place.tasks = try models.folder.file(
            "tasks.jsonl", "{\"prompt\": \"Six times seven is\", \"answer\": \" forty-two\"}\n")
        stage.settings.weights.task = 1
        let report = try stage.run { _ in }
        let (first, last) = (
            try #require(report.curve.first?.task), try #require(report.curve.last?.task)
        )
        #expect(last < 0.5 * first)
    }

    @Test("a model is made from nothing, and learns")
    func pretrains() throws {
        let folder = try TemporaryFolder()
        let configuration = try SmallModel.configuration(vocabulary: 4_096)
        let config = try folder.file(
            "model.json", String(decoding: configuration.source, as: UTF8.self))
        var settings = PretrainStage.usualSettings
        settings.window = 32
        settings.batchTokens = 256
        settings.tokens = 256 * 30
        settings.learningRate = 1e-2
        var place = TrainingPlace(corpus: [SmallModel.text], output: folder.path + "/out")
        place.cache = folder.path + "/cache"
        let stage = PretrainStage(
            configuration: config, tokenizer: SmallModel.tiny, settings: settings, place: place)
        let report = try stage.run { _ in }
        let (first, last) = (try #require(report.curve.first), try #require(report.curve.last))
        // Uniform at first: ln 4096 = 8.32.
        #expect(abs(first.nextToken - 8.32) < 0.1)
        #expect(last.nextToken < 6.8)
        #expect(report.source == nil)
        let made = try Checkpoint(folder.path + "/out")
        try made.validate(against: ModelConfiguration(folder: folder.path + "/out"))
        _ = try Tokenizer(path: folder.path + "/out")
    }
}
