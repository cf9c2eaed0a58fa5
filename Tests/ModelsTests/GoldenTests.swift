import Artifacts
import Foundation
import Tensors
import Testing

@testable import Models

/// Against an implementation that shares no code with transformers or libtorch.
@Suite("stories260K against its golden values", .enabled(if: TestData.hasData))
struct GoldenTests {
    static let folder = "\(TestData.data)/models/stories260K"

    struct Golden: Decodable {
        let promptIDs: [Int]
        let greedyIDs: [Int]

        enum CodingKeys: String, CodingKey {
            case promptIDs = "prompt_ids"
            case greedyIDs = "greedy_ids"
        }
    }

    static func model() throws -> CausalLanguageModel {
        try CausalLanguageModel(
            Checkpoint("\(folder)/hf"), ModelConfiguration(folder: "\(folder)/hf"))
    }

    static func golden() throws -> Golden {
        try JSONDecoder().decode(
            Golden.self, from: try TestData.bytes("\(folder)/golden_greedy.json"))
    }

    @Test("logits of 200 positions")
    func logits() throws {
        let expected = try NumpyArray.tensor("\(Self.folder)/golden_logits_200x512_f32.npy")
        #expect(expected.shape == [200, 512])
        let golden = try Self.golden()
        let ids = Array((golden.promptIDs + golden.greedyIDs).prefix(200))
        let logits = try withoutGradients {
            try Self.model().logits(try Tensor(ids, shape: [1, ids.count])).squeezed(0)
        }
        let deviation = try largestDeviation(logits, expected)
        print("stories260K: logits within \(deviation) of the golden ones")
        #expect(deviation <= 1e-4)
    }

    @Test("greedy text, token for token")
    func greedy() throws {
        let golden = try Self.golden()
        let model = try Self.model()
        try withoutGradients {
            var cache: KVCache? = KVCache(layers: model.configuration.layerCount, capacity: 16)
            var (input, greedy): ([Int], [Int]) = (golden.promptIDs, [])
            while greedy.count < golden.greedyIDs.count {
                let hidden = try model.hiddenStates(
                    try Tensor(input, shape: [1, input.count]), cache: &cache)
                let last = try model.ends.project(try hidden.selected(1, input.count - 1))
                input = try last.argmax(-1).elements(as: Int.self)
                greedy += input
            }
            #expect(greedy == golden.greedyIDs)
        }
    }
}
