import Artifacts
import Foundation
import Models
import Tensors
import Testing
import Text

@testable import Generate

/// A model folder, loaded.
private func generator(_ folder: String) throws -> Generator {
    Generator(
        model: try CausalLanguageModel(
            Checkpoint(folder), ModelConfiguration(folder: folder)),
        tokenizer: try Tokenizer(path: folder))
}

@Suite("Generator on the shipped model")
struct GeneratorTests {
    private let tiny: Generator
    private let prompt: [Int]

    init() throws {
        tiny = try generator(TestData.tiny)
        prompt = tiny.tokenizer.encode("The history of the city").map(Int.init)
    }

    private func options(maxTokens: Int, stops: [String] = []) -> Generator.Options {
        var options = Generator.Options()
        options.maxTokens = maxTokens
        options.stops = stops
        return options
    }

    private func sampled(seed: UInt64, maxTokens: Int = 40) -> Generator.Options {
        var options = options(maxTokens: maxTokens)
        options.sampling.temperature = 1
        options.sampling.seed = seed
        options.endsAtEndOfText = false
        return options
    }

    @Test("pieces join to the text, which is the tokens'", arguments: [1, 2, 3])
    func pieces(_ seed: UInt64) throws {
        var pieces: [String] = []
        let result = try tiny.generate(prompt, sampled(seed: seed)) { piece, _ in
            pieces.append(piece)
        }
        #expect(pieces.joined() == result.text)
        #expect(pieces.count > 10 && pieces.allSatisfy { !$0.isEmpty })
        #expect(result.tokens.count == 40)
        #expect(result.finishReason == .length)
        #expect(try tiny.tokenizer.decode(result.tokens.map { TokenID($0) }) == result.text)
    }

    @Test("greedy tokens are the arg max of a pass without the cache")
    func greedy() throws {
        let result = try tiny.generate(prompt, options(maxTokens: 12))
        let ids = prompt + result.tokens
        let best = try withoutGradients {
            try tiny.model.logits(try Tensor(ids, shape: [1, ids.count])).argmax(-1)
                .elements(as: Int.self)
        }
        #expect(result.tokens.count == 12)
        #expect(Array(best[(prompt.count - 1)..<(ids.count - 1)]) == result.tokens)
    }

    @Test("the token limit is exact, 0 included", arguments: [0, 1, 7])
    func limit(_ count: Int) throws {
        let result = try tiny.generate(prompt, options(maxTokens: count))
        #expect(result.tokens.count == count)
        #expect(result.finishReason == .length)
        #expect(result.text.isEmpty == (count == 0))
    }

    @Test("a stop string ends the text before it")
    func stops() throws {
        let whole = try tiny.generate(prompt, options(maxTokens: 30)).text
        // A few characters from the middle, across tokens.
        let middle = whole.index(whole.startIndex, offsetBy: whole.count / 2)
        let stop = String(whole[middle...].prefix(5))
        let before = try #require(whole.range(of: stop)).lowerBound
        var pieces: [String] = []
        let result = try tiny.generate(
            prompt, options(maxTokens: 30, stops: ["never in it", stop])
        ) { piece, _ in pieces.append(piece) }
        #expect(result.finishReason == .stop)
        #expect(result.text == String(whole[..<before]))
        #expect(pieces.joined() == result.text)
        #expect(result.tokens.count < 30)
    }

    @Test("an end-of-text token ends generation and is not part of it")
    func endOfText() throws {
        let free = try tiny.generate(prompt, sampled(seed: 2))
        // A token of the middle becomes an end of text.
        let end = free.tokens[20]
        let place = try #require(free.tokens.firstIndex(of: end))
        let config = try String(contentsOfFile: "\(TestData.tiny)/config.json", encoding: .utf8)
        let edited = config.replacing("\"eos_token_id\": 0", with: "\"eos_token_id\": [0, \(end)]")
        #expect(edited != config)
        let model = try CausalLanguageModel(
            Checkpoint(TestData.tiny), ModelConfiguration(parsing: Array(edited.utf8)))
        let ending = Generator(model: model, tokenizer: tiny.tokenizer)
        var options = sampled(seed: 2)
        #expect(try ending.generate(prompt, options).tokens == free.tokens)
        options.endsAtEndOfText = true
        let stopped = try ending.generate(prompt, options)
        #expect(stopped.tokens == Array(free.tokens[..<place]))
        #expect(stopped.finishReason == .stop)
        #expect(free.text.hasPrefix(stopped.text))
    }

    @Test("the same seed writes the same text, another one another")
    func determinism() throws {
        let (first, again, other) = (
            try tiny.generate(prompt, sampled(seed: 4)),
            try tiny.generate(prompt, sampled(seed: 4)),
            try tiny.generate(prompt, sampled(seed: 5))
        )
        #expect(first.tokens == again.tokens)
        #expect(first.text == again.text)
        #expect(first.tokens != other.tokens)
    }

    @Test("an error of the receiver ends generation")
    func receiver() {
        struct Enough: Error {}
        var count = 0
        #expect(throws: Enough.self) {
            _ = try tiny.generate(prompt, sampled(seed: 1)) { _, _ in
                count += 1
                if count == 3 { throw Enough() }
            }
        }
        #expect(count == 3)
    }

    @Test("prompts that cannot be continued are refused")
    func errors() throws {
        func error(_ prompt: [Int]) -> GenerateError? {
            #expect(throws: GenerateError.self) {
                _ = try tiny.generate(prompt, options(maxTokens: 1))
            }
        }
        guard case .emptyPrompt? = error([]) else {
            Issue.record("empty prompt")
            return
        }
        for length in [4_096, 5_000] {
            guard case .promptTooLong(length, 4_096)? = error(Array(repeating: 5, count: length))
            else {
                Issue.record("prompt of \(length)")
                return
            }
        }
        for token in [-1, 4_096] {
            guard case .tokenOutOfRange(token, 4_096)? = error([5, token, 6]) else {
                Issue.record("token \(token)")
                return
            }
        }
    }

    @Test("options are checked before anything is computed")
    func sampling() {
        var options = options(maxTokens: 1)
        options.sampling.topP = 2
        #expect(throws: SamplingOptionsError.topP(2)) { _ = try tiny.generate(prompt, options) }
    }
}

@Suite("Generator on stories260K", .enabled(if: TestData.hasData))
struct StoriesTests {
    struct Golden: Decodable {
        let promptIDs: [Int]
        let greedyIDs: [Int]
        let text: String

        enum CodingKeys: String, CodingKey {
            case promptIDs = "prompt_ids"
            case greedyIDs = "greedy_ids"
            case text
        }
    }

    @Test("writes the golden story")
    func golden() throws {
        let folder = "\(TestData.data)/models/stories260K"
        let golden = try JSONDecoder().decode(
            Golden.self,
            from: Data(contentsOf: URL(fileURLWithPath: "\(folder)/golden_greedy.json")))
        var options = Generator.Options()
        options.maxTokens = golden.greedyIDs.count
        let result = try generator("\(folder)/hf").generate(golden.promptIDs, options)
        #expect(result.tokens == golden.greedyIDs)
        #expect(result.text.trimmingCharacters(in: .whitespaces) == golden.text)
    }

    @Test("stops at the model's context")
    func context() throws {
        let stories = try generator("\(TestData.data)/models/stories260K/hf")
        let context = stories.model.configuration.maxPositions
        var options = Generator.Options()
        options.maxTokens = 50
        options.endsAtEndOfText = false
        let prompt = [1] + Array(repeating: 403, count: context - 4)
        let result = try stories.generate(prompt, options)
        #expect(result.tokens.count == 3)
        #expect(result.finishReason == .length)
    }
}
