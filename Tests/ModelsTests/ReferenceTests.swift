import Artifacts
import Foundation
import Tensors
import Testing

@testable import Models

@Suite("Models against transformers", .enabled(if: TestData.hasReference))
struct ReferenceTests {
    /// Greedy choices of the reference lead by 1e-3 at least; see SMALLEST_MARGIN there.
    static let bound = 1e-4

    /// Pieces that a prompt is fed in, the rest last: awkward beside windows of 7 and 9 tokens.
    static let chunks = [1, 7, 2, 11]

    @Test("every kind of model that Minima promises is among the cases")
    func coverage() throws {
        let names = Set(try ReferenceCase.load().map(\.name))
        var promised: Set = [
            "qwen3-tied", "qwen3-untied", "qwen3-attention-bias", "qwen3-yarn", "qwen2",
            "qwen2-window",
            "qwen2-window-legacy", "qwen2-window-off", "llama2", "llama3", "llama3-legacy",
            "llama-linear", "llama-yarn", "llama-bias", "mistral-window", "mistral", "sharded",
            "bfloat16",
        ]
        if TestData.hasData { promised.formUnion(["tiny", "small", "stories260K"]) }
        #expect(promised.subtracting(names).isEmpty)
    }

    @Test("the sharded checkpoint is in several files, and the window layers have windows")
    func casesAreWhatTheySay() throws {
        let cases = Dictionary(uniqueKeysWithValues: try ReferenceCase.load().map { ($0.name, $0) })
        #expect(try Checkpoint(try #require(cases["sharded"]).folder).files.count > 2)
        func configuration(_ name: String) throws -> ModelConfiguration {
            try ModelConfiguration(folder: try #require(cases[name]).folder)
        }
        #expect(try configuration("qwen2-window").slidingWindows == [nil, 7, 7])
        #expect(try configuration("qwen2-window-legacy").slidingWindows == [nil, 7, 7])
        #expect(try configuration("qwen2-window-off").slidingWindows == [nil, nil, nil])
        #expect(try configuration("mistral-window").slidingWindows == [9, 9, 9])
        #expect(try configuration("qwen3-tied").tiesEmbeddings)
        #expect(try !configuration("qwen3-untied").tiesEmbeddings)
    }

    @Test("logits of one pass", arguments: ReferenceCase.all)
    func logits(_ reference: ReferenceCase) throws {
        let expected = try reference.expected()
        let logits = try withoutGradients { try reference.loadModel().logits(expected.ids) }
        let deviation = try largestDeviation(logits, expected.logits)
        print("\(reference.name): logits within \(deviation) of transformers'")
        #expect(deviation <= Self.bound)
    }

    @Test("greedy continuation with the cache, token for token", arguments: ReferenceCase.all)
    func continuation(_ reference: ReferenceCase) throws {
        let expected = try reference.expected()
        let model = try reference.loadModel()
        let steps = expected.continuation.shape[1]
        try withoutGradients {
            // Reserves less than it takes, so that the cache grows on the way.
            var cache: KVCache? = KVCache(layers: model.configuration.layerCount, capacity: 5)
            var rows = try Self.prefill(model, expected.ids, cache: &cache)
            var tokens: [Tensor] = []
            var chosenFrom: [Tensor] = []
            for _ in 0..<steps {
                let last = try rows.selected(1, rows.shape[1] - 1)
                chosenFrom.append(last)
                tokens.append(try last.argmax(-1).unsqueezed(1))
                rows = try Self.step(model, tokens[tokens.count - 1], cache: &cache)
            }
            #expect(cache?.length == expected.ids.shape[1] + steps)
            let chosen = try Tensor.concatenated(tokens, along: 1)
            #expect(
                try chosen.elements(as: Int.self) == expected.continuation.elements(as: Int.self))
            let logits = try Tensor.stacked(chosenFrom, along: 1)
            #expect(try largestDeviation(logits, expected.continuationLogits) <= Self.bound)
        }
    }

    @Test("the cache changes nothing: pieces, then single tokens", arguments: ReferenceCase.all)
    func cachedAgreesWithUncached(_ reference: ReferenceCase) throws {
        let expected = try reference.expected()
        let model = try reference.loadModel()
        try withoutGradients {
            let ids = try Tensor.concatenated([expected.ids, expected.continuation], along: 1)
            var cache: KVCache? = KVCache(layers: model.configuration.layerCount, capacity: 5)
            var rows = [try Self.prefill(model, expected.ids, cache: &cache)]
            for position in expected.ids.shape[1]..<ids.shape[1] {
                rows.append(
                    try Self.step(
                        model, try ids.narrowed(1, position..<position + 1), cache: &cache))
            }
            let deviation = try largestDeviation(
                try Tensor.concatenated(rows, along: 1), try model.logits(ids))
            let bound = model.configuration.reorderingBound
            print("\(reference.name): cached within \(deviation) of uncached, bound \(bound)")
            #expect(deviation <= bound)
        }
    }

    /// Logits of all positions of `ids`, fed in `chunks`.
    private static func prefill(
        _ model: CausalLanguageModel, _ ids: Tensor, cache: inout KVCache?
    ) throws -> Tensor {
        var (rows, start): ([Tensor], Int) = ([], 0)
        for size in chunks + [ids.shape[1] - chunks.reduce(0, +)] {
            rows.append(try step(model, try ids.narrowed(1, start..<start + size), cache: &cache))
            start += size
        }
        return try Tensor.concatenated(rows, along: 1)
    }

    private static func step(
        _ model: CausalLanguageModel, _ ids: Tensor, cache: inout KVCache?
    ) throws -> Tensor {
        try model.ends.project(try model.hiddenStates(ids, cache: &cache))
    }
}

@Suite("Models in bfloat16")
struct BFloat16Tests {
    @Test("the shipped model stays within the rounding of its activations")
    func tiny() throws {
        let (checkpoint, configuration) = (
            try Checkpoint(TestData.tiny), try ModelConfiguration(folder: TestData.tiny)
        )
        let ids = try Tensor((0..<192).map { ($0 * 37 + 11) % 4_096 }, shape: [2, 96])
        try withoutGradients {
            let exact = try CausalLanguageModel(checkpoint, configuration).logits(ids)
            let rounded = try CausalLanguageModel(checkpoint, configuration, as: .bfloat16).logits(
                ids)
            #expect(rounded.elementType == .bfloat16)
            // The weights are bfloat16 as they are stored. Each block rounds some twelve activations in
            // a row and the ends two more; independent relative errors of at most u = 2⁻⁸ each.
            let roundings = Double(12 * configuration.layerCount + 2)
            let bound = roundings.squareRoot() * ElementType.bfloat16.roundoff
            let distance = try relativeDistance(rounded, exact)
            print("tiny in bfloat16: logits \(distance) from float32's, bound \(bound)")
            #expect(distance <= bound)
            #expect(distance >= ElementType.bfloat16.roundoff / 8, "did it compute in bfloat16?")
        }
    }
}
