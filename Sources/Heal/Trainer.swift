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
    private var optimizer: MasterOptimizer

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
        optimizer = try MasterOptimizer(masters.trained, settings, with: processes)
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
        let sums = try (0..<4).map { _ in try Tensor.zeros([], .float32, on: device) }
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
        let gradients =
            try batch.inputs.isEmpty
            ? masters.trained.map { try Tensor.zeros($0.tensor.shape, .float32, on: device) }
            : pass.model.masterGradients()
        let all = try optimizer.step(gradients, losses: sums, learningRate: learningRate)
        return LearningOutcome(
            sums: all.losses, norm: all.norm, textTargets: batch.textTargets,
            answerTargets: batch.answerTargets)
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

    package var state: [NamedTensor] { optimizer.state }

    package func resume(after steps: Int, from kept: SafetensorsFile?) throws {
        try optimizer.resume(after: steps, from: kept)
    }
}
