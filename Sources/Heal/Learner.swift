import Artifacts
import TensorNetworks
import Tensors

/// What a training loop drives: something that changes weights step by step.
package protocol Learner: AnyObject {
    var settings: TrainingSettings { get }

    /// One step of the optimiser, the same in all processes. Where the gradient is not finite nothing is changed.
    func step(_ batch: BatchSource.Batch, learningRate: Double) throws -> LearningOutcome

    /// Everything that a later step depends on, by name.
    var state: [NamedTensor] { get }

    /// Goes on, in all processes, from the state that process 0 has kept after `steps` steps.
    /// - Parameter kept: `nil` in all others.
    func resume(after steps: Int, from kept: SafetensorsFile?) throws
}

/// What a step did, still on the device.
package struct LearningOutcome {
    /// Sums over the step's targets: next token, divergence, hidden, task.
    let sums: [Tensor]
    /// 2-norm of the gradient before it was clipped.
    let norm: Tensor
    let textTargets: Int
    let answerTargets: Int

    package init(sums: [Tensor], norm: Tensor, textTargets: Int, answerTargets: Int) {
        (self.sums, self.norm) = (sums, norm)
        (self.textTargets, self.answerTargets) = (textTargets, answerTargets)
    }
}
