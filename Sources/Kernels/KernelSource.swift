/// CUDA code that is part of the program: `CUDA/NAME.cu`, which includes nothing.
package struct KernelSource: Hashable, Sendable, CustomStringConvertible {
    package let name: String
    package let text: String

    package var description: String { name }

    package init(name: String, text: String) {
        self.name = name
        self.text = text
    }

    private init(_ name: String, embedded bytes: [UInt8]) {
        self.init(name: name, text: String(decoding: bytes, as: UTF8.self))
    }

    /// Behind what kernels share: the structs of their arguments, and small functions.
    private init(_ name: String, behindShared bytes: [UInt8]...) {
        self.init(
            name,
            embedded: PackageResources.arguments_h + PackageResources.common_cuh
                + bytes.joined())
    }

    /// Sets every element of a vector.
    package static let fill = KernelSource("fill", embedded: PackageResources.fill_cu)

    /// y = x · Wᵀ for a few columns of x.
    package static let linear = KernelSource(
        "linear", behindShared: PackageResources.widening_cuh, PackageResources.linear_cu)
    /// y = x · Wᵀ for many columns of x, on tensor cores that read shared memory: of compute capability 9.0 alone.
    package static let gemm = KernelSource("gemm", behindShared: PackageResources.gemm_cu)
    /// Attention of one token per sequence over a paged cache.
    package static let attention = KernelSource(
        "attention", behindShared: PackageResources.attention_cu)
    /// A token's row of the embedding, ready for the first norm.
    package static let embedding = KernelSource(
        "embedding", behindShared: PackageResources.embedding_cu)

    /// What stands between the products of a prompt.
    package static let prompt = KernelSource("prompt", behindShared: PackageResources.prompt_cu)

    /// The next token of each sequence, out of its logits.
    package static let sample = KernelSource("sample", behindShared: PackageResources.sample_cu)

    /// One tensor of a network times activations, and the sum of what the last ones gave.
    package static let contraction = KernelSource(
        "contraction", behindShared: PackageResources.contraction_cu)

    /// What stands between the products of a draft model's passes.
    package static let draft = KernelSource("draft", behindShared: PackageResources.draft_cu)

    /// Every source, for the test that compiles them for all architectures.
    package static let all = [
        fill, linear, gemm, attention, embedding, prompt, sample, contraction, draft,
    ]
}
