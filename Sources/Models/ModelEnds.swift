import Artifacts
import Tensors

/// What stands before the first block and after the last: embedding, final norm and head.
package struct ModelEnds {
    /// `[vocabulary, hidden]`.
    package let embedding: Tensor
    package let norm: Tensor
    /// `[vocabulary, hidden]`; the embedding where the checkpoint ties them.
    package let head: Tensor
    private let epsilon: Double

    package init(of configuration: ModelConfiguration, from loader: WeightLoader) throws {
        embedding = try loader.tensor("model.embed_tokens.weight")
        norm = try loader.tensor("model.norm.weight")
        head = configuration.tiesEmbeddings ? embedding : try loader.tensor("lm_head.weight")
        epsilon = configuration.normEpsilon
    }

    /// - Parameter ids: integers `[batch, tokens]`.
    package func embed(_ ids: Tensor) throws -> Tensor { try embedding.embedding(ids) }

    package func normalize(_ x: Tensor) throws -> Tensor { try x.rmsNorm(norm, epsilon: epsilon) }

    /// Logits `[…, vocabulary]` of normalised hidden states `[…, hidden]`.
    package func project(_ hidden: Tensor) throws -> Tensor { try hidden.linear(head) }
}
