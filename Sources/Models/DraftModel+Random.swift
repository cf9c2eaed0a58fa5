import Artifacts
import Tensors

extension DraftModel {
    /// A draft with random weights: for measuring what its work takes, and for tests.
    ///
    /// Matrices are normal with variance 1 / columns, norms are near 1; the tokens that it can guess are spread over the
    /// target's.
    /// - Parameters:
    ///   - embedding: the target's, `[vocabulary, target's hidden]`, which says type and device; a draft of another width gets
    ///     one of its own.
    package init(
        random configuration: DraftConfiguration, embedding: Tensor, seed: UInt64 = 0
    ) throws {
        let (type, device) = (embedding.elementType, embedding.device)
        let hidden = configuration.layer.hiddenSize
        func noise(_ shape: [Int], _ index: Int) throws -> Tensor {
            let seed = seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(index)
            let values = try Tensor.noise(shape, seed: seed, on: device)
            guard shape.count > 1 else {
                return try (values.converted(to: .float32) * 0.1 + 1).converted(to: type)
            }
            try values.scale(by: 1 / Double(shape[1]).squareRoot())
            return try values.converted(to: type)
        }
        var weights: [String: Tensor] = [:]
        let expected = configuration.expectedTensors(layer: DraftConfiguration.prefixes[0])
        for (index, tensor) in expected.enumerated() {
            weights[tensor.name] = try noise(tensor.shape, index)
        }
        let (vocabulary, count) = (embedding.shape[0], configuration.vocabularySize)
        self.init(
            configuration, weights,
            embedding: embedding.shape[1] == hidden
                ? embedding : try noise([vocabulary, hidden], expected.count),
            targets: try Tensor(
                (0..<count).map { $0 * vocabulary / count }, shape: [count], on: device))
    }

    /// Bytes of a draft's weights, beside an embedding.
    package static func byteCount(_ configuration: DraftConfiguration, as type: ElementType) -> Int
    {
        configuration.expectedTensors(layer: DraftConfiguration.prefixes[0]).reduce(0) {
            $0 + $1.shape.reduce(type.byteCount, *)
        }
    }
}
