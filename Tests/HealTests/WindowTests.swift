import Artifacts
import Foundation
import Tensors
import Testing
import Text

@testable import Heal

@Suite("Windows of training")
struct WindowTests {
    private func tokenFile(_ text: String, _ folder: TemporaryFolder) throws -> (
        TokenFile, expected: [Int32]
    ) {
        let path = try folder.file("text-\(text.hashValue).txt", text)
        let tokenizer = try Tokenizer(path: SmallModel.tiny)
        let file = try TokenFile.cached(
            Corpus(path: path), tokenizer,
            identity: TokenFile.identity(ofTokenizer: SmallModel.tiny),
            in: folder.path + "/cache"
        ) { _ in }
        var stream = try TokenStream(Corpus(path: path), tokenizer)
        var expected: [Int32] = []
        while let tokens = try stream.nextDocument() { expected += tokens }
        return (file, expected)
    }

    private func documents(_ count: Int) -> String {
        (0..<count).map { "Document \($0) of those that stand here, and nothing else in it." }
            .joined(separator: DocumentSeparator.text)
    }

    @Test("tokens are those of the evaluation's reader, each document with its end")
    func tokens() throws {
        let folder = try TemporaryFolder()
        for text in [documents(40), "One document alone."] {
            let (file, expected) = try tokenFile(text, folder)
            #expect(try file.tokens(0..<file.count) == expected)
        }
        let (file, expected) = try tokenFile(documents(40), folder)
        let ends = expected.indices.filter { expected[$0] == 0 }
        #expect(ends.count == 40)
        #expect(file.document(of: 0) == 0)
        #expect(file.document(of: ends[0]) == 0)
        #expect(file.document(of: ends[0] + 1) == 1)
        #expect(file.document(of: expected.count - 1) == 39)
    }

    @Test("a file is encoded once, and a damaged one refused")
    func cached() throws {
        let folder = try TemporaryFolder()
        _ = try tokenFile(documents(5), folder)
        let cache = folder.path + "/cache"
        // Beside its lock.
        func files() throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: cache)
                .filter { $0.hasSuffix(".safetensors") }
        }
        let names = try files()
        #expect(names.count == 1)
        _ = try tokenFile(documents(5), folder)
        #expect(try files() == names)
        let other = try SafetensorsWriter("\(cache)/\(names[0])", declaring: [])
        try other.finish()
        #expect(throws: HealError.self) { try tokenFile(documents(5), folder) }
    }

    @Test("every token is predicted once in a pass, but for the last partial window")
    func windows() throws {
        let folder = try TemporaryFolder()
        let (a, first) = try tokenFile(documents(40), folder)
        let (b, second) = try tokenFile(documents(7), folder)
        let windows = try TrainingWindows([a, b], length: 16)
        #expect(windows.count == (first.count - 1) / 16 + (second.count - 1) / 16)
        var predicted: [Int32] = []
        for index in 0..<(first.count - 1) / 16 {
            let window = try windows.window(index)
            #expect(window.count == 17)
            predicted += window.dropFirst()
        }
        #expect(predicted == Array(first[1...predicted.count]))
        #expect(
            try windows.window(windows.count - 1).first == second[(second.count - 1) / 16 * 16 - 16]
        )
        #expect(windows.description(of: 0).contains("tokens 0–16"))
        #expect(throws: HealError.self) { try TrainingWindows([b], length: 4_000) }
    }

    @Test("the order is a permutation, another one each pass, and the seed's alone")
    func order() {
        var order = WindowOrder(count: 97, seed: 5)
        let passes = (0..<3).map { pass in (0..<97).map { order.window(at: pass * 97 + $0) } }
        for pass in passes { #expect(pass.sorted() == Array(0..<97)) }
        #expect(Set(passes).count == 3)
        // From the middle, as a run that is continued reads it.
        var again = WindowOrder(count: 97, seed: 5)
        #expect(
            (150..<250).map { again.window(at: $0) } == (150..<250).map { order.window(at: $0) })
        var other = WindowOrder(count: 97, seed: 6)
        #expect((0..<97).map { other.window(at: $0) } != passes[0])
    }

    @Test("examples are packed whole, and only their answers are learnt")
    func tasks() throws {
        let folder = try TemporaryFolder()
        let tokenizer = try Tokenizer(path: SmallModel.tiny)
        let pairs = [("2 + 2 =", " four"), ("The capital of France is", " Paris"), ("x", " y")]
        let lines = pairs.map { "{\"prompt\": \"\($0.0)\", \"answer\": \"\($0.1)\"}" }
        let long = "{\"prompt\": \"\(String(repeating: "long ", count: 90))\", \"answer\": \"a\"}"
        let path = try folder.file("tasks.jsonl", (lines + [long]).joined(separator: "\n"))
        let tasks = try TaskExamples(path, tokenizer, length: 24)
        #expect(tasks.count == 4)
        #expect(tasks.skipped == 1)
        var learnt: [Int32] = []
        for window in tasks.windows {
            #expect(window.tokens.count == 25)
            #expect(window.isAnswer.count == 24)
            for (token, isAnswer) in zip(window.tokens.dropFirst(), window.isAnswer) where isAnswer
            {
                learnt.append(token)
            }
        }
        #expect(learnt == pairs.flatMap { tokenizer.encode($0.1) + [0] })
        let broken = try folder.file("broken.jsonl", "{\"prompt\": \"a\"}")
        #expect(throws: CorpusError.self) { try TaskExamples(broken, tokenizer, length: 24) }
    }

    @Test("text that stands in both is found, wherever it lies, and other text is not")
    func overlap() throws {
        let folder = try TemporaryFolder()
        let secret = try tokenFile(
            String(decoding: TestText.bytes(SmallModel.otherText), as: UTF8.self), folder
        ).expected
        let (clean, _) = try tokenFile(
            String(decoding: TestText.bytes(SmallModel.text), as: UTF8.self), folder)
        let windows = try TrainingWindows([clean], length: 50)
        let none = try Contamination(evaluation: [secret], windows: windows) { _ in }
        #expect(none.evaluationShare == 0)
        #expect(none.windowShare == 0)
        // Of the training text itself: everything, at any offset.
        let own = try clean.tokens(137..<537)
        let all = try Contamination(evaluation: [own], windows: windows) { _ in }
        #expect(all.evaluationShare == 1)
        #expect(all.windowShare > 0)
        let half = try Contamination(
            evaluation: [own + secret.prefix(400)], windows: windows
        ) { _ in }
        #expect(half.evaluationShare == 0.5)
    }
}

enum TestText {
    static func bytes(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }
}
