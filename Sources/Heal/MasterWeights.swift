// The tensors that training changes, in float32, and how the model that computes follows from them.
//
// Applying a train or a ring token by token costs more than the dense matrix does. Multiplying the network
// out costs once per step, whatever the batch, and is differentiable: so the model that computes is dense, and
// its gradients are pulled back to the parts of the networks when a step's batch is done.
import Artifacts
import Models
import TensorNetworks
import Tensors

package final class MasterWeights {
    package let configuration: ModelConfiguration
    package let manifest: CompressionManifest?
    /// What trains, under the names that the checkpoint has for it; shared tensors once.
    package let trained: [NamedTensor]
    /// Of each decoder block, and of the ends, in this order.
    let sections: [Section]
    /// Every tensor of the checkpoint.
    let tensors: [String: Tensor]

    /// A part of the model, in terms of a dense checkpoint.
    struct Section {
        /// Matrices that networks stand for.
        var networks: [Expansion] = []
        /// Tensors that are what they are.
        var plain: [NamedTensor] = []
    }

    struct Expansion {
        /// Of the matrix in a dense checkpoint.
        let name: String
        let weight: Linear.Weight
        /// What it is made of, in the checkpoint's names.
        let parts: [NamedTensor]
    }

    /// Reads a checkpoint whose tensors are those of `configuration`.
    /// - Parameter trainsEmbeddings: whether embedding and head train too.
    package convenience init(
        _ checkpoint: Checkpoint, _ configuration: ModelConfiguration, trainsEmbeddings: Bool,
        on device: Device
    ) throws {
        let loader = WeightLoader(checkpoint, as: .float32, on: device)
        var tensors: [String: Tensor] = [:]
        for name in checkpoint.tensorNames { tensors[name] = try loader.tensor(name) }
        try self.init(
            tensors, checkpoint.manifest, configuration, trainsEmbeddings: trainsEmbeddings)
    }

    /// - Parameter tensors: float32, those of `configuration` and `manifest`; they are changed in place.
    package init(
        _ tensors: [String: Tensor], _ manifest: CompressionManifest?,
        _ configuration: ModelConfiguration, trainsEmbeddings: Bool
    ) throws {
        self.configuration = configuration
        self.manifest = manifest
        self.tensors = tensors
        let frozen: Set<String> = trainsEmbeddings ? [] : Self.embeddings
        trained = try tensors.keys.sorted().compactMap { name in
            guard let tensor = tensors[name], tensor.elementType.isFloatingPoint,
                !frozen.contains(name)
            else { return nil }
            return (name, try tensor.requiringGradient())
        }
        let device = tensors.values.first?.device ?? .cpu
        let loader = WeightLoader(.tensors(tensors, manifest), as: .float32, on: device)
        sections = try Self.sections(of: configuration, tensors, manifest, loader)
    }

    static let embeddings: Set<String> = ["model.embed_tokens.weight", "lm_head.weight"]

    private static func sections(
        of configuration: ModelConfiguration, _ tensors: [String: Tensor],
        _ manifest: CompressionManifest?, _ loader: WeightLoader
    ) throws -> [Section] {
        var sections = Array(repeating: Section(), count: configuration.layerCount + 1)
        let places = Dictionary(
            (0..<configuration.layerCount).map { (DecoderBlock.prefix($0), $0) },
            uniquingKeysWith: { first, _ in first })
        for expected in configuration.expectedTensors {
            // "model.layers.7." of "model.layers.7.mlp.up_proj.weight".
            let prefix = expected.name.split(separator: ".").prefix(3).joined(separator: ".") + "."
            let place = places[prefix] ?? configuration.layerCount
            let module = String(expected.name.dropLast(".weight".count))
            if let matrix = manifest?.matrix(module) {
                sections[place].networks.append(
                    try expansion(expected.name, matrix, tensors, loader))
            } else if let tensor = tensors[expected.name] {
                sections[place].plain.append((expected.name, tensor))
            } else {
                preconditionFailure("the checkpoint was checked to hold \(expected.name)")
            }
        }
        return sections
    }

    private static func expansion(
        _ name: String, _ matrix: CompressedMatrix, _ tensors: [String: Tensor],
        _ loader: WeightLoader
    ) throws -> Expansion {
        let names = Set(matrix.patches.flatMap(\.tensors.values)).sorted()
        let parts: [NamedTensor] = names.compactMap { name in
            tensors[name].flatMap { $0.elementType.isFloatingPoint ? (name, $0) : nil }
        }
        return Expansion(name: name, weight: try loader.weight(of: matrix), parts: parts)
    }

    // MARK: The way to the dense model and back

    /// What a section computes with in a step.
    struct Dense {
        /// The section's tensors as a dense checkpoint has them: leaves of a computation that gradients are wanted
        /// of, but for what does not train.
        var tensors: [NamedTensor] = []
        /// The matrices of its networks again, as they depend on the masters. They share the leaves' memory; what is
        /// recorded of how they were made keeps little but the masters alive.
        fileprivate(set) var expanded: [String: Tensor] = [:]
    }

    /// The section's tensors in `type`.
    func dense(_ section: Section, as type: ElementType) throws -> Dense {
        var dense = Dense()
        for network in section.networks {
            let matrix = try withGradients { try network.weight.dense().converted(to: type) }
            dense.expanded[network.name] = matrix
            dense.tensors.append((network.name, try matrix.detached().requiringGradient()))
        }
        try withoutGradients {
            for (name, tensor) in section.plain {
                let leaf = try tensor.detached().converted(to: type)
                dense.tensors.append(
                    (name, tensor.requiresGradient ? try leaf.requiringGradient() : leaf))
            }
        }
        return dense
    }

    /// Adds the gradients by the masters to `sums`, by name, given those by the dense tensors of the
    /// section, float32. What was recorded of the networks is used up.
    func pullBack(
        _ gradients: [String: Tensor], through section: Section, _ dense: Dense,
        into sums: inout [String: Tensor]
    ) throws {
        func add(_ gradient: Tensor, to name: String) throws {
            guard let sum = sums[name] else {
                sums[name] = gradient
                return
            }
            // Not in place: what autograd returns may be used twice.
            sums[name] = try sum + gradient
        }
        for (name, tensor) in section.plain where tensor.requiresGradient {
            guard let gradient = gradients[name] else {
                preconditionFailure("there is no gradient by \(name)")
            }
            try add(gradient, to: name)
        }
        for network in section.networks {
            guard let gradient = gradients[network.name], let matrix = dense.expanded[network.name]
            else {
                preconditionFailure("there is no gradient by \(network.name)")
            }
            let found = try matrix.gradients(
                for: network.parts.map(\.tensor),
                upstream: gradient.converted(to: matrix.elementType))
            for (part, gradient) in zip(network.parts, found) { try add(gradient, to: part.name) }
        }
    }
}
