import Artifacts
import Models
import TensorNetworks
import Tensors

/// Changes master weights step by step.
package final class Trainer: Learner {
    package let masters: MasterWeights
    package let settings: TrainingSettings
    /// What the model computes in: bfloat16 on a GPU, float32 on a CPU.
    package let computeType: ElementType
    package let device: Device
    private let processes: ProcessGroup
    private let teacher: Teacher?
    private let rotary: RotaryTables
    private let checkpointsBlocks: Bool
    /// Of matrices and cores, which may decay, and of norms and biases, which never do.
    private(set) var optimizers: [AdamW]
    private let groups: [[Int]]

    package init(
        _ masters: MasterWeights, teacher: Teacher?, settings: TrainingSettings,
        checkpointsBlocks: Bool, with processes: ProcessGroup = ProcessGroup(), on device: Device
    ) throws {
        self.masters = masters
        self.processes = processes
        self.teacher = teacher
        self.settings = settings
        self.checkpointsBlocks = checkpointsBlocks
        self.device = device
        computeType = Self.computeType(on: device)
        rotary = RotaryTables(masters.configuration, type: computeType, device: device)
        let indices = masters.trained.indices
        groups = [
            indices.filter { masters.trained[$0].tensor.shape.count > 1 },
            indices.filter { masters.trained[$0].tensor.shape.count <= 1 },
        ]
        optimizers = try zip(groups, [settings.weightDecay, 0]).map { group, decay in
            try AdamW(
                group.map { masters.trained[$0].tensor }, learningRate: settings.learningRate,
                betas: TrainingSettings.betas, weightDecay: decay)
        }
    }

    var hasTeacher: Bool { teacher != nil }

    package static func computeType(on device: Device) -> ElementType {
        device == .cpu ? .float32 : .bfloat16
    }

    /// One step of the optimiser, the same in all processes, each of which brings its share of the batch. Where the
    /// gradient is not finite nothing is changed.
    package func step(
        _ batch: BatchSource.Batch, learningRate: Double
    ) throws -> LearningOutcome {
        let pass = try pass()
        var sums = try (0..<4).map { _ in try Tensor.zeros([], .float32, on: device) }
        for input in batch.inputs {
            let losses = try pass.learn(input)
            if input.isTask {
                try sums[3].accumulate(losses.nextToken)
            } else {
                for (index, loss) in [losses.nextToken, losses.divergence, losses.hidden]
                    .enumerated()
                {
                    try sums[index].accumulate(loss)
                }
            }
        }
        var gradients =
            try batch.inputs.isEmpty
            ? masters.trained.map { try Tensor.zeros($0.tensor.shape, .float32, on: device) }
            : pass.model.masterGradients()
        // Here this process' gradients are complete, in the order of `masters.trained`, and here alone those of all
        // processes are added up, with their losses.
        let together = try processes.summed(gradients + sums)
        gradients = Array(together.dropLast(sums.count))
        sums = Array(together.suffix(sums.count))
        let norm = try withoutGradients { try gradients.totalNorm() }
        try update(gradients, norm: norm, learningRate: learningRate)
        return LearningOutcome(
            sums: sums, norm: norm, textTargets: batch.textTargets,
            answerTargets: batch.answerTargets)
    }

    /// Clips by the norm and steps, all on the device.
    private func update(_ gradients: [Tensor], norm: Tensor, learningRate: Double) throws {
        let (divisor, skip) = try withoutGradients {
            let one = try Tensor.ones([], .float32, on: device)
            return (
                try (norm / settings.clip).maximum(one),
                try norm.finite().logicalNot().converted(to: .float32)
            )
        }
        for (index, group) in groups.enumerated() {
            optimizers[index].learningRate = learningRate
            try optimizers[index].step(
                group.map { gradients[$0] }, dividedBy: divisor, unless: skip)
        }
    }

    /// Sums of the losses over windows of text, without learning from them; each process takes some of the inputs.
    func measure(_ inputs: [BatchPass.Input]) throws -> (nextToken: Double, divergence: Double) {
        let pass = try pass()
        var sums = [0.0, 0.0]
        for index in stride(from: processes.rank, to: inputs.count, by: processes.size) {
            let losses = try pass.measure(inputs[index])
            sums[0] += try losses.nextToken.scalar()
            sums[1] += try losses.divergence.scalar()
        }
        let all = try processes.summed([Tensor(sums)])[0].elements(as: Double.self)
        return (all[0], all[1])
    }

    private func pass() throws -> BatchPass {
        BatchPass(
            model: try ComputeModel(masters, as: computeType), teacher: teacher, rotary: rotary,
            weights: settings.weights, checkpointsBlocks: checkpointsBlocks)
    }

    // MARK: Resuming

    /// Everything that a later step depends on, by name: masters and moments.
    package var state: [NamedTensor] {
        masters.trained.map { ("master.\($0.name)", $0.tensor) }
            + zip(groups, optimizers).flatMap { group, optimizer in
                zip(group, zip(optimizer.means, optimizer.squares)).flatMap { index, moments in
                    [
                        ("mean.\(masters.trained[index].name)", moments.0),
                        ("square.\(masters.trained[index].name)", moments.1),
                    ]
                }
            }
    }

    /// Goes on, in all processes, from the state that process 0 has kept after `steps` steps.
    /// - Parameter kept: `nil` in all others.
    package func resume(after steps: Int, from kept: SafetensorsFile?) throws {
        let mine = Dictionary(
            state.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        func tensor(_ name: String) throws -> Tensor {
            if let kept { return try kept.tensor(named: name) }
            guard let tensor = mine[name] else { preconditionFailure("\(name) is of the state") }
            return tensor
        }
        try withoutGradients {
            for (name, master) in masters.trained { try master.assign(tensor("master.\(name)")) }
        }
        for (index, group) in groups.enumerated() {
            let names = group.map { masters.trained[$0].name }
            try optimizers[index].resume(
                after: steps, means: try names.map { try tensor("mean.\($0)") },
                squares: try names.map { try tensor("square.\($0)") })
        }
        try processes.broadcast(state.map(\.tensor))
    }
}
