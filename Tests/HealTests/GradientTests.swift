import Artifacts
import Models
import TensorNetworks
import Tensors
import Testing

@testable import Heal

/// Gradients by masters, against autograd through the model that applies its networks token by token.
@Suite("Gradients of training")
struct GradientTests {
    private let weights = LossWeights(nextToken: 0.7, divergence: 1.3, hidden: 0, task: 0.9)

    private func input(
        _ vocabulary: Int, windows: Int = 3, length: Int = 12, seed: Int = 1,
        factors: [Float]? = nil
    ) throws -> BatchPass.Input {
        let tokens = (0..<windows * (length + 1)).map { ($0 * 31 + $0 * $0 * seed) % vocabulary }
        let all = try Tensor(tokens, shape: [windows, length + 1])
        return BatchPass.Input(
            ids: try all.narrowed(1, 0..<length).contiguous(),
            targets: try all.narrowed(1, 1..<length + 1).reshaped([windows * length]),
            factors: try factors.map { try Tensor($0) }, textTargets: windows * length,
            answerTargets: factors.map { Int($0.reduce(0, +)) } ?? 0)
    }

    private func pass(
        _ masters: MasterWeights, _ teacher: Teacher, _ weights: LossWeights,
        checkpointing: Bool = false
    ) throws -> BatchPass {
        BatchPass(
            model: try ComputeModel(masters, as: .float32), teacher: teacher,
            rotary: RotaryTables(masters.configuration, type: .float32, device: .cpu),
            weights: weights, checkpointsBlocks: checkpointing)
    }

    private func teacher(_ configuration: ModelConfiguration) throws -> Teacher {
        let tensors = try SmallModel.tensors(of: configuration, seed: 7)
        return Teacher(try CausalLanguageModel(.tensors(tensors, nil), configuration))
    }

    /// The loss as its definition has it, recorded through the model of the masters themselves.
    private func loss(
        _ masters: MasterWeights, _ teacher: Teacher, _ input: BatchPass.Input
    ) throws -> Tensor {
        let model = try CausalLanguageModel(
            .tensors(masters.tensors, masters.manifest), masters.configuration)
        var none: KVCache?
        let rows = input.ids.count
        let logits = try model.ends.project(model.hiddenStates(input.ids, cache: &none))
            .reshaped([rows, -1])
        let logQ = try logits.logSoftmax()
        let nextToken = try logits.crossEntropy(input.targets, mean: false)
        if let factors = input.factors {
            return try (nextToken * factors).sum() * (weights.task / Double(input.answerTargets))
        }
        let logP = try withoutGradients {
            try teacher.model.logits(input.ids).reshaped([rows, -1]).logSoftmax()
        }
        let divergence = try (logP.exp() * (logP - logQ)).sum(1)
        let sum =
            try nextToken.sum() * weights.nextToken + divergence.sum() * weights.divergence
        return try sum / Double(rows)
    }

    private func masters(
        _ architecture: Architecture, compressed: Bool, embeddings: Bool
    ) throws -> MasterWeights {
        let configuration = try SmallModel.configuration(architecture)
        let dense = try SmallModel.tensors(of: configuration)
        guard compressed else {
            return try MasterWeights(dense, nil, configuration, trainsEmbeddings: embeddings)
        }
        let (tensors, manifest) = try SmallModel.compressed(
            dense, SmallModel.everyFormat(of: configuration))
        return try MasterWeights(tensors, manifest, configuration, trainsEmbeddings: embeddings)
    }

    private func requireEqual(
        _ found: [Tensor], _ expected: [Tensor], _ names: [String], tolerance: Double = 2e-5
    ) throws {
        #expect(found.count == expected.count)
        for (name, (a, b)) in zip(names, zip(found, expected)) {
            let (distance, norm) = (try (a - b).norm().scalar(), try b.norm().scalar())
            // A bond whose gauge frees all of a core leaves nothing of it to store.
            #expect(norm > 0 || b.count == 0, "\(name) \(b.shape) does not matter")
            #expect(distance <= tolerance * norm, "\(name): \(distance) of \(norm)")
        }
    }

    @Test(
        "every format, bias and norm gets the gradient of the model that it makes",
        arguments: [Architecture.qwen3, .qwen2], [false, true])
    func everyFormat(architecture: Architecture, task: Bool) throws {
        let masters = try masters(architecture, compressed: true, embeddings: true)
        let teacher = try teacher(masters.configuration)
        let factors: [Float]? = task ? (0..<36).map { $0 % 3 == 0 ? 1 : 0 } : nil
        let input = try input(61, factors: factors)
        let pass = try pass(masters, teacher, weights)
        let losses = try pass.learn(input)
        let found = try pass.model.masterGradients()
        let (value, expected) = try withGradients {
            let loss = try loss(masters, teacher, input)
            return (
                try loss.detached().scalar(),
                try loss.gradients(for: masters.trained.map(\.tensor))
            )
        }
        try requireEqual(found, expected, masters.trained.map(\.name))
        let nextToken = try losses.nextToken.scalar()
        let ours =
            task
            ? nextToken * weights.task / Double(input.answerTargets)
            : (nextToken * weights.nextToken
                + (try losses.divergence.scalar()) * weights.divergence) / 36
        #expect(abs(ours - value) < 1e-5 * abs(value))
    }

    @Test("frozen embeddings get none, and the others the same")
    func frozen() throws {
        let teacher = try teacher(SmallModel.configuration())
        var found: [[String: Tensor]] = []
        for embeddings in [true, false] {
            let masters = try masters(.qwen3, compressed: true, embeddings: embeddings)
            let pass = try pass(masters, teacher, weights)
            _ = try pass.learn(input(61))
            found.append(
                Dictionary(
                    uniqueKeysWithValues: zip(
                        masters.trained.map(\.name), try pass.model.masterGradients())))
        }
        #expect(Set(found[0].keys).subtracting(found[1].keys) == ["model.embed_tokens.weight"])
        for (name, gradient) in found[1] {
            let other = try #require(found[0][name])
            let distance = try (gradient - other).norm().scalar()
            #expect(distance == 0, "\(name)")
        }
    }

    @Test("running blocks twice changes no bit, and cutting a batch only rounding")
    func checkpointing() throws {
        let masters = try masters(.qwen2, compressed: true, embeddings: true)
        let teacher = try teacher(masters.configuration)
        let weights = LossWeights(nextToken: 1, divergence: 1, hidden: 0.5)
        func gradients(_ inputs: [BatchPass.Input], _ checkpointing: Bool) throws -> [Tensor] {
            let pass = try pass(masters, teacher, weights, checkpointing: checkpointing)
            for input in inputs { _ = try pass.learn(input) }
            return try pass.model.masterGradients()
        }
        let whole = try input(61, windows: 4)
        let once = try gradients([whole], false)
        for (a, b) in zip(once, try gradients([whole], true)) {
            let distance = try (a - b).norm().scalar()
            #expect(distance == 0)
        }
        let pieces = try (0..<4).map { index in
            BatchPass.Input(
                ids: try whole.ids.narrowed(0, index..<index + 1),
                targets: try whole.targets.narrowed(0, 12 * index..<12 * index + 12), factors: nil,
                textTargets: 48, answerTargets: 0)
        }
        try requireEqual(
            try gradients(pieces, true), once, masters.trained.map(\.name), tolerance: 1e-5)
    }

    @Test("hidden states are matched token by token, after every block")
    func hidden() throws {
        let masters = try masters(.qwen3, compressed: false, embeddings: true)
        let teacher = try teacher(masters.configuration)
        let input = try input(61)
        let weights = LossWeights(nextToken: 0, divergence: 0, hidden: 2)
        let pass = try pass(masters, teacher, weights)
        let sum = try pass.learn(input).hidden.scalar()
        let found = try pass.model.masterGradients()
        let wanted = try teacher.observe(input.ids, keepingBlocks: true).blocks
        let trained = masters.trained.filter { $0.name != "model.norm.weight" }
        let (value, expected) = try withGradients {
            let model = try CausalLanguageModel(
                .tensors(masters.tensors, nil), masters.configuration)
            var none: KVCache?
            var x = try model.ends.embed(input.ids)
            var loss = try Tensor.zeros([])
            for (block, target) in zip(model.blocks, wanted) {
                x = try block.forward(x, rotary: model.rotary, cache: &none)
                let share = try (x - target).squared().sum(-1) / target.squared().sum(-1)
                loss = try loss + share.sum() * (0.5 / 36)
            }
            return (
                try loss.detached().scalar(),
                try (loss * 2).gradients(for: trained.map(\.tensor))
            )
        }
        #expect(abs(sum / 36 - value) < 1e-5 * value)
        let byName = Dictionary(
            uniqueKeysWithValues: zip(masters.trained.map(\.name), found))
        let same = try trained.map { try #require(byName[$0.name]) }
        try requireEqual(same, expected, trained.map(\.name))
        // Nothing of the loss passes through the final norm.
        let norm = try #require(byName["model.norm.weight"])
        let size = try norm.norm().scalar()
        #expect(size == 0)
    }
}
