import Artifacts
import Models
import TensorNetworks
import Tensors

/// A compressed block whose stored tensors train, in float32; its dense matrices do not.
///
/// A step computes with the matrices that the networks stand for: multiplied out once, they cost the same
/// whatever the number of windows, and their gradients are pulled back to the parts at the step's end.
struct TrainedBlock {
    /// What trains: the parts of the networks, the norms and the biases.
    let masters: [NamedTensor]

    private let layer: Int
    private let fitted: [BlockCompressor.Fitted]
    private let configuration: ModelConfiguration
    /// The checkpoint's tensors of the block, the masters of the norms and biases among them.
    private let base: [String: Tensor]
    private let networks: [Network]
    private let rotary: RotaryTables
    private let device: Device

    /// A compressed matrix, of the masters.
    private struct Network {
        let projection: Projection
        let patches: [PatchedMatrix.Patch]
        let weight: Linear.Weight
        /// What trains of it, under the checkpoint's names.
        let parts: [NamedTensor]

        init(_ projection: Projection, _ fitted: BlockCompressor.Fitted) throws {
            self.projection = projection
            patches = try fitted.patches.map { patch in
                PatchedMatrix.Patch(
                    patch.region,
                    try patch.weight.mapTensors {
                        try $0.to(.float32, $0.device, copy: true).requiringGradient()
                    })
            }
            weight = fitted.replacing(patches).weight
            parts = zip(fitted.matrix.patches, patches).flatMap { stored, patch in
                patch.weight.parts.compactMap { name, tensor in
                    guard tensor.elementType.isFloatingPoint, let name = stored.tensors[name]
                    else { return nil }
                    return (name, tensor)
                }
            }
        }
    }

    init(
        _ layer: Int, _ fitted: [BlockCompressor.Fitted],
        _ loader: WeightLoader, _ configuration: ModelConfiguration
    ) throws {
        self.layer = layer
        self.fitted = fitted
        self.configuration = configuration
        var masters: [NamedTensor] = []
        var networks: [Network] = []
        for matrix in fitted {
            guard
                let projection = Projection.allCases.first(where: {
                    configuration.module($0, ofLayer: layer).name == matrix.matrix.name
                })
            else { preconditionFailure("a block is refined with its own matrices") }
            let network = try Network(projection, matrix)
            masters += network.parts
            networks.append(network)
        }
        let matrices = Set(configuration.linearModules(ofLayer: layer).map(\.weight.name))
        var base: [String: Tensor] = [:]
        for tensor in configuration.expectedTensors
        where tensor.name.hasPrefix(DecoderBlock.prefix(layer)) {
            let value = try loader.tensor(tensor.name)
            if !matrices.contains(tensor.name) {
                masters.append((tensor.name, try value.requiringGradient()))
            }
            base[tensor.name] = value
        }
        self.masters = masters
        self.networks = networks
        self.base = base
        device = masters.first?.tensor.device ?? .cpu
        rotary = RotaryTables(configuration, type: .float32, device: device)
    }

    // MARK: A step

    /// The block with matrices multiplied out, and the gradients by what it computes with.
    final class Computed {
        private let owner: TrainedBlock
        private let block: DecoderBlock
        /// The matrices of the networks as they depend on the masters.
        private let expanded: [Tensor]
        /// The matrices of the networks, then the norms and biases.
        private let leaves: [Tensor]
        private var sums: [Tensor] = []

        fileprivate init(_ owner: TrainedBlock) throws {
            self.owner = owner
            expanded = try withGradients { try owner.networks.map { try $0.weight.dense() } }
            let matrices = try expanded.map { try $0.detached().requiringGradient() }
            var block = try owner.loaded()
            for (network, matrix) in zip(owner.networks, matrices) {
                block[network.projection] = Linear(
                    .dense(matrix), bias: block[network.projection].bias)
            }
            self.block = block
            leaves = matrices + owner.others.map(\.tensor)
        }

        /// Adds the gradient of share · Σ_windows E‖block(x) − target‖², x `[windows, tokens, hidden]`.
        func add(of x: Tensor, _ target: Tensor, share: Double) throws {
            var none: KVCache?
            let found = try withGradients {
                let error = try block.forward(x, rotary: owner.rotary, cache: &none) - target
                return try (error.squared().sum() * (share / Double(x.shape[1])))
                    .gradients(for: leaves)
            }
            guard !sums.isEmpty else {
                sums = try found.map { try $0.copied() }
                return
            }
            for (sum, gradient) in zip(sums, found) { try sum.accumulate(gradient) }
        }

        /// By the masters, in their order; can be asked for once.
        func masterGradients() throws -> [Tensor] {
            let gradients = try zip(zip(owner.networks, expanded), sums).flatMap { network, sum in
                try network.1.gradients(for: network.0.parts.map(\.tensor), upstream: sum)
            }
            return gradients + sums[owner.networks.count...]
        }
    }

    func computed() throws -> Computed { try Computed(self) }

    /// Masters that are no parts of networks.
    private var others: ArraySlice<NamedTensor> {
        masters[networks.reduce(0) { $0 + $1.parts.count }...]
    }

    /// The block with the checkpoint's matrices and the masters' norms and biases.
    private func loaded() throws -> DecoderBlock {
        try DecoderBlock(
            layer, of: configuration,
            from: WeightLoader(.tensors(base, nil), as: .float32, on: device))
    }

    // MARK: The result

    /// As it will be stored: rounded to the types of the plan and of the checkpoint.
    func refined(_ types: (String) -> ElementType) throws -> BlockRefinement.Refined {
        try withoutGradients {
            var block = try loaded()
            var stored: [BlockCompressor.Fitted] = []
            for (matrix, network) in zip(fitted, networks) {
                let patches = try zip(matrix.matrix.patches, network.patches).map {
                    PatchedMatrix.Patch(
                        $1.region,
                        try $1.weight.mapTensors { try $0.detached() }
                            .converted(to: $0.elementType.beforeQuantization))
                }
                let rounded = matrix.replacing(patches)
                stored.append(rounded)
                block[network.projection] = Linear(
                    try rounded.weight.converted(to: .float32),
                    bias: block[network.projection].bias)
            }
            return BlockRefinement.Refined(
                fitted: stored,
                others: try others.map {
                    ($0.name, try $0.tensor.detached().converted(to: types($0.name)))
                },
                block: block)
        }
    }
}
