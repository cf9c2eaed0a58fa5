// Forward and backward through a dense model of some windows: block by block, so that a block's recorded
// operations are let go of as soon as its gradients are known, and, where memory asks for it, are recorded only
// then (gradient checkpointing, Chen et al. 2016, arXiv 1604.06174).
import Artifacts
import Models
import Tensors

package struct BatchPass {
    let model: ComputeModel
    let teacher: Teacher?
    let rotary: RotaryTables
    let weights: LossWeights
    let checkpointsBlocks: Bool

    /// Windows that go through the model together.
    package struct Input {
        /// Integers `[windows, tokens]`.
        package let ids: Tensor
        /// int64 `[windows · tokens]`.
        let targets: Tensor
        /// Of every target, float32 `[windows · tokens]`, where they are those of task examples.
        let factors: Tensor?
        /// Targets that count in the whole step: of the text, and of answers.
        let textTargets: Int
        let answerTargets: Int

        /// What a teacher that is not there predicted.
        var expected: HeadLoss.Expectation?

        var isTask: Bool { factors != nil }
    }

    /// Sums over the targets that count, float32 of shape [], still on the device.
    struct Losses {
        let nextToken: Tensor
        let divergence: Tensor
        /// Mean over blocks of the sum over tokens.
        let hidden: Tensor
    }

    private struct Tape {
        let input: Tensor
        /// `nil` where it is computed again.
        let recorded: Tensor?
        let output: Tensor
    }

    /// Adds the gradients of `input`'s share in the step's loss to the model's.
    func learn(_ input: Input) throws -> Losses {
        let observation = try input.isTask ? nil : observation(of: input.ids)
        let embedded =
            try model.embedding == nil ? nil : withGradients { try model.ends.embed(input.ids) }
        var x = try withoutGradients { try embedded?.detached() ?? model.ends.embed(input.ids) }
        var tape: [Tape] = []
        for block in model.blocks {
            let leaf = try x.detached().requiringGradient()
            let output =
                checkpointsBlocks
                ? try withoutGradients { try run(block, leaf) }
                : try withGradients { try run(block, leaf) }
            x = try output.detached()
            tape.append(
                Tape(input: leaf, recorded: checkpointsBlocks ? nil : output, output: x))
        }
        let last = try x.detached().requiringGradient()
        let states = try withGradients { try model.ends.normalize(last) }
        let found = try headLoss(input).evaluate(
            try states.detached().reshaped([input.ids.count, -1]), head: model.ends.head,
            targets: input.targets,
            expected: input.expected ?? observation.flatMap { expectation($0) },
            factors: input.factors,
            wanted: model.head == nil ? .states : .statesAndHead)
        guard let upstream = found.states else { preconditionFailure("gradients were asked for") }
        if let gradient = found.head, let head = model.head { try model.add(gradient, to: head) }
        var gradient = try normBackward(states, last, upstream.reshaped(states.shape))
        let hidden = try Tensor.zeros([], .float32, on: x.device)
        for index in tape.indices.reversed() {
            let (block, step) = (model.blocks[index], tape[index])
            if let wanted = observation?.blocks, wanted.indices.contains(index) {
                gradient =
                    try gradient
                    + match(step.output, wanted[index], input.textTargets, sum: hidden)
            }
            let output = try step.recorded ?? withGradients { try run(block, step.input) }
            let leaves = model.leaves(ofBlock: index)
            let gradients = try output.gradients(
                for: [step.input] + leaves.map(\.tensor), upstream: gradient)
            gradient = gradients[0]
            try model.add(gradients.dropFirst(), ofBlock: index)
            tape.removeLast()
        }
        if let embedded, let table = model.embedding {
            try model.add(
                embedded.gradients(for: [table.tensor], upstream: gradient)[0], to: table)
        }
        return Losses(
            nextToken: found.nextTokenSum, divergence: found.divergenceSum, hidden: hidden)
    }

    /// The losses alone, over text.
    func measure(_ input: Input) throws -> Losses {
        try withoutGradients {
            let observation = try teacher?.observe(input.ids, keepingBlocks: false)
            var x = try model.ends.embed(input.ids)
            for block in model.blocks { x = try run(block, x) }
            let found = try HeadLoss(nextToken: 1, divergence: 1, on: x.device).evaluate(
                try model.ends.normalize(x).reshaped([input.ids.count, -1]),
                head: model.ends.head, targets: input.targets,
                expected: observation.flatMap { expectation($0) }, wanted: .values)
            return Losses(
                nextToken: found.nextTokenSum, divergence: found.divergenceSum,
                hidden: try Tensor.zeros([], .float32, on: x.device))
        }
    }

    // MARK: Steps

    private func run(_ block: DecoderBlock, _ x: Tensor) throws -> Tensor {
        var none: KVCache?
        return try block.forward(x, rotary: rotary, cache: &none)
    }

    private func observation(of ids: Tensor) throws -> Teacher.Observation? {
        guard weights.needsTeacher else { return nil }
        return try teacher?.observe(ids, keepingBlocks: weights.hidden > 0)
    }

    private func expectation(_ observation: Teacher.Observation) -> HeadLoss.Expectation? {
        teacher.map { .states(observation.states, head: $0.model.ends.head) }
    }

    private func headLoss(_ input: Input) -> HeadLoss {
        if input.isTask {
            return HeadLoss(
                nextToken: weights.task / Double(max(1, input.answerTargets)), divergence: 0,
                on: input.ids.device)
        }
        let targets = Double(max(1, input.textTargets))
        return HeadLoss(
            nextToken: weights.nextToken / targets, divergence: weights.divergence / targets,
            on: input.ids.device)
    }

    /// ∂L/∂x of what the final norm reads; that by its weight is added to the model's.
    private func normBackward(
        _ states: Tensor, _ x: Tensor, _ upstream: Tensor
    ) throws -> Tensor {
        guard let norm = model.finalNorm else {
            return try states.gradients(for: [x], upstream: upstream)[0]
        }
        let gradients = try states.gradients(for: [x, norm.tensor], upstream: upstream)
        try model.add(gradients[1], to: norm)
        return gradients[0]
    }

    /// Gradient by a block's output y of hidden/(blocks·targets) · Σ ‖y − t‖² / ‖t‖², with t the
    /// teacher's; the mean over blocks of the sum is added to `sum`.
    private func match(
        _ output: Tensor, _ wanted: Tensor, _ targets: Int, sum: Tensor
    ) throws -> Tensor {
        try withoutGradients {
            let blocks = Double(model.blocks.count)
            let target = try wanted.converted(to: .float32)
            let difference = try output.detached().converted(to: .float32) - target
            let share = try (target.squared().sum(-1, keeping: true) + 1e-12).reciprocal()
            let scaled = try difference * share
            try sum.accumulate((difference * scaled).sum(), times: 1 / blocks)
            try scaled.scale(by: 2 * weights.hidden / (blocks * Double(max(1, targets))))
            return try scaled.converted(to: output.elementType)
        }
    }
}
