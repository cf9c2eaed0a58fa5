// The loop: a batch, a step, now and then a look at the losses, now and then a state on disk.
//
// A GPU is never waited for within a step, unless it is for the gradients of other processes. The losses of many steps stay on the device until a second has
// passed or a state is to be kept; a step whose gradient is not finite changes nothing there, so that nothing is
// lost by looking late.
import Artifacts
import Foundation
import Tensors

/// When states are kept.
package struct TrainingSaving: Sendable {
    /// Steps from one to the next; `nil`: by time alone.
    package var steps: Int?
    package var seconds = 300.0

    package init() {}
}

/// How far a training is.
package struct TrainingProgress: Sendable {
    package let step: Int
    package let steps: Int
    package let tokens: Int
    /// The last step that is known.
    package let last: HealReport.Point?
    /// Of this run.
    package let tokensPerSecond: Double
}

package struct TrainingLoop {
    let trainer: any Learner
    var source: BatchSource
    /// Where process 0 keeps states.
    let states: TrainingStates?
    let saving: TrainingSaving
    let processes: ProcessGroup

    package init(
        _ trainer: any Learner, _ source: BatchSource, states: TrainingStates?,
        saving: TrainingSaving, processes: ProcessGroup
    ) {
        (self.trainer, self.source, self.states) = (trainer, source, states)
        (self.saving, self.processes) = (saving, processes)
    }

    private struct Pending {
        let step: Int
        let learningRate: Double
        let outcome: LearningOutcome
    }

    /// What a run was and did.
    package struct Result {
        package var curve: [HealReport.Point] = []
        /// Of training, in all runs.
        package var seconds = 0.0
        /// Tokens and seconds of this run alone, without its first step, in which memory is taken.
        package var measured: (tokens: Int, seconds: Double) = (0, 0)
    }

    /// Trains to the last step; whatever ends it early, the steps that are known to be good are kept.
    /// - Parameter tell: throwing from it, in any process, ends the run of all of them between two steps.
    package mutating func run(tell: (TrainingEvent) throws -> Void) throws -> Result {
        var result = Result()
        var done = 0
        if let record = try resume(tell: tell) {
            (done, result.curve, result.seconds) = (record.steps, record.curve, record.seconds)
        }
        let settings = trainer.settings
        let (rates, steps) = (settings.rates, settings.steps)
        var pending: [Pending] = []
        var (clock, shown, saved, kept) = (Date(), Date(), Date(), done)
        var first = true
        func keep() throws {
            guard done > kept, let states else { return }
            try states.save(
                trainer.state, steps: done, seconds: result.seconds, curve: result.curve)
            (kept, saved) = (done, Date())
        }
        while done < steps {
            var stop: (any Error)?
            do { try tell(.step(progress(done, result))) } catch { stop = error }
            // Clocks differ: process 0 says for all when it is time.
            let isDue =
                saving.steps.map { (done + 1) % $0 == 0 } ?? false
                || Date().timeIntervalSince(saved) > saving.seconds || done + 1 == steps
            let looks = isDue || first || Date().timeIntervalSince(shown) > 1
            let agreed = try processes.any([
                stop != nil, processes.leads && isDue, processes.leads && looks,
            ])
            if agreed[0] {
                try look(at: &pending, &result, since: &clock, isFirst: &first)
                try processes.lead(keep)
                try processes.close()
                throw stop ?? ProcessGroupError.stopped
            }
            let rate = settings.learningRate * rates.share(at: done)
            pending.append(
                Pending(
                    step: done, learningRate: rate,
                    outcome: try trainer.step(try source.batch(of: done), learningRate: rate)))
            done += 1
            if agreed[2] {
                try look(at: &pending, &result, since: &clock, isFirst: &first)
                shown = Date()
            }
            if agreed[1] {
                try keep()
                clock = Date()
            }
        }
        try tell(.step(progress(done, result)))
        return result
    }

    /// Puts all processes into the newest state that process 0 has kept.
    private func resume(
        tell: (TrainingEvent) throws -> Void
    ) throws -> TrainingStates.Record? {
        let newest = try processes.lead {
            try states?.newest(complain: { try tell(.note($0)) })
        }
        let (found, tensors) = (newest ?? nil) ?? (nil, nil)
        let bytes = try processes.shared(found.map { try StrictJSON.encode($0) } ?? [])
        guard !bytes.isEmpty else { return nil }
        let record = try StrictJSON.decode(
            TrainingStates.Record.self, from: bytes, of: "the state of process 0")
        try trainer.resume(after: record.steps, from: tensors)
        return record
    }

    private func progress(_ done: Int, _ result: Result) -> TrainingProgress {
        TrainingProgress(
            step: done, steps: trainer.settings.steps, tokens: result.curve.last?.tokens ?? 0,
            last: result.curve.last,
            tokensPerSecond: result.measured.seconds > 0
                ? Double(result.measured.tokens) / result.measured.seconds : 0)
    }

    /// Reads the losses of steps that were made, waiting for them.
    private mutating func look(
        at pending: inout [Pending], _ result: inout Result, since clock: inout Date,
        isFirst: inout Bool
    ) throws {
        guard !pending.isEmpty else { return }
        let values = try Tensor.stacked(
            pending.flatMap { $0.outcome.sums + [$0.outcome.norm] }, along: 0
        ).elements(as: Double.self)
        let seconds = Date().timeIntervalSince(clock)
        clock = Date()
        for (index, step) in pending.enumerated() {
            let point = point(of: step, Array(values[5 * index..<5 * index + 5]))
            guard point.loss.isFinite, point.gradientNorm.isFinite else {
                let windows = source.windows(of: step.step)
                // All have found the same.
                try processes.close()
                throw HealError.notFinite(
                    what: point.loss.isFinite ? "gradient" : "loss", step: step.step + 1,
                    batch: windows.map { source.text.description(of: $0) })
            }
            result.curve.append(point)
        }
        result.seconds += seconds
        if !isFirst {
            result.measured.tokens += pending.count * tokensPerStep
            result.measured.seconds += seconds
        }
        isFirst = false
        pending = []
    }

    private var tokensPerStep: Int { trainer.settings.windowsPerStep * trainer.settings.window }

    /// - Parameter values: the four sums of an outcome and its norm.
    private func point(of step: Pending, _ values: [Double]) -> HealReport.Point {
        let weights = trainer.settings.weights
        let targets = Double(max(1, step.outcome.textTargets))
        let nextToken = values[0] / targets
        let divergence = weights.needsTeacher ? values[1] / targets : nil
        let hidden = weights.hidden > 0 ? values[2] / targets : nil
        let task =
            step.outcome.answerTargets > 0
            ? values[3] / Double(step.outcome.answerTargets) : nil
        let loss =
            weights.nextToken * nextToken + weights.divergence * (divergence ?? 0)
            + weights.hidden * (hidden ?? 0) + weights.task * (task ?? 0)
        return HealReport.Point(
            step: step.step + 1, tokens: (step.step + 1) * tokensPerStep, loss: loss,
            nextToken: nextToken, divergence: divergence, hidden: hidden, task: task,
            learningRate: step.learningRate, gradientNorm: values[4])
    }
}
