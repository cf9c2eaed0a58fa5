import Artifacts
import Models
import TensorNetworks
import Tensors

/// The dense model that a step computes with, made of the masters at its beginning, and the gradients by
/// its tensors, summed over what the step's batch is cut into.
final class ComputeModel {
    let blocks: [DecoderBlock]
    let ends: ModelEnds
    /// Of each section of the masters: tensors that gradients are wanted of.
    private let leaves: [[NamedTensor]]
    private let masters: MasterWeights
    private var dense: [MasterWeights.Dense]
    /// By section and name, float32.
    private var sums: [[String: Tensor]]

    init(_ masters: MasterWeights, as type: ElementType) throws {
        self.masters = masters
        let configuration = masters.configuration
        let dense = try masters.sections.map { try masters.dense($0, as: type) }
        self.dense = dense
        leaves = dense.map { $0.tensors.filter(\.tensor.requiresGradient) }
        sums = Array(repeating: [:], count: dense.count)
        func loader(_ section: [NamedTensor]) -> WeightLoader {
            let tensors = Dictionary(
                section.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
            let device = section.first?.tensor.device ?? .cpu
            return WeightLoader(.tensors(tensors, nil), as: type, on: device)
        }
        blocks = try (0..<configuration.layerCount).map {
            try DecoderBlock($0, of: configuration, from: loader(dense[$0].tensors))
        }
        ends = try ModelEnds(
            of: configuration, from: loader(dense[configuration.layerCount].tensors))
    }

    /// The section behind those of the blocks.
    private var endsSection: Int { blocks.count }

    func leaves(ofBlock index: Int) -> [NamedTensor] { leaves[index] }

    var finalNorm: NamedTensor? { leaves[endsSection].first { $0.name == "model.norm.weight" } }
    var embedding: NamedTensor? {
        leaves[endsSection].first { $0.name == "model.embed_tokens.weight" }
    }
    var head: NamedTensor? {
        leaves[endsSection].first { $0.name == "lm_head.weight" } ?? embedding
    }

    /// Adds gradients by tensors of block `index`, in the order of `leaves(ofBlock:)`.
    func add(_ gradients: some Sequence<Tensor>, ofBlock index: Int) throws {
        for (leaf, gradient) in zip(leaves[index], gradients) {
            try add(gradient, to: leaf.name, index)
        }
    }

    /// Adds a gradient by a tensor of the ends.
    func add(_ gradient: Tensor, to leaf: NamedTensor) throws {
        try add(gradient, to: leaf.name, endsSection)
    }

    private func add(_ gradient: Tensor, to name: String, _ section: Int) throws {
        guard let sum = sums[section][name] else {
            sums[section][name] = try gradient.to(.float32, gradient.device)
            return
        }
        try sum.accumulate(gradient)
    }

    /// The gradients by the masters, in the order of `trained`; the sums are used up.
    func masterGradients() throws -> [Tensor] {
        var found: [String: Tensor] = [:]
        for (index, section) in masters.sections.enumerated() {
            try masters.pullBack(sums[index], through: section, dense[index], into: &found)
            sums[index] = [:]
            dense[index] = MasterWeights.Dense()
        }
        return masters.trained.map { name, _ in
            guard let gradient = found[name] else {
                preconditionFailure("nothing of the model depends on \(name)")
            }
            return gradient
        }
    }
}
