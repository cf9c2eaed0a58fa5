import Artifacts
import Tensors

/// What the loss is a sum of; a weight of 0 leaves a term out.
package struct LossWeights: Sendable, Equatable {
    /// −ln q of the token that follows.
    package var nextToken = 0.0
    /// KL(teacher ‖ student) over the vocabulary, at temperature 1.
    package var divergence = 1.0
    /// Squared distance of every block's output from the teacher's, over the teacher's squared norm, token
    /// by token: a few tokens that models use as sinks are hundreds of times longer than the others.
    package var hidden = 0.0
    /// −ln q of the tokens of an answer, where there are task examples.
    package var task = 1.0

    package init(
        nextToken: Double = 0, divergence: Double = 1, hidden: Double = 0, task: Double = 1
    ) {
        self.nextToken = nextToken
        self.divergence = divergence
        self.hidden = hidden
        self.task = task
    }

    package var needsTeacher: Bool { divergence > 0 || hidden > 0 }
}

/// How a model is trained, whatever it is and whatever it learns from.
package struct TrainingSettings: Sendable, Equatable {
    package var weights = LossWeights()
    /// Tokens that are predicted in all.
    package var tokens = 5_000_000
    /// Tokens of one step of the optimiser.
    package var batchTokens = 65_536
    /// Inputs of a window.
    package var window = 2_048
    /// Tokens that go through the model at once; `nil`: as many as memory is taken to hold.
    package var microBatchTokens: Int?
    /// Keep only what enters every block and run it again for its gradient; `nil`: where memory would not
    /// hold one window otherwise.
    package var checkpointsBlocks: Bool?
    package var learningRate = 2e-4
    package var schedule = LearningRateSchedule.Shape.cosine
    /// Share of the steps over which the rate rises.
    package var warmup = 0.05
    /// Where the rate ends, as a share of `learningRate`.
    package var floor = 0.1
    /// Of matrices and cores; norms and biases never decay.
    package var weightDecay = 0.0
    /// Largest 2-norm of the gradient; a longer one is scaled down to it.
    package var clip = 1.0
    package var trainsEmbeddings = false
    /// As many of the teacher's predictions are kept on disk for every token, and the teacher in no memory;
    /// 0: the teacher runs beside the model, and all of its predictions count.
    package var teacherCount = 0
    package var seed: UInt64 = 0

    package static let betas = (0.9, 0.95)

    package init() {}

    package var windowsPerStep: Int { max(1, batchTokens / window) }
    package var steps: Int {
        let perStep = windowsPerStep * window
        return max(1, (tokens + perStep - 1) / perStep)
    }
    package var rates: LearningRateSchedule {
        LearningRateSchedule(
            schedule, steps: steps, warmup: Int((warmup * Double(steps)).rounded(.up)),
            floor: floor)
    }

    /// What a run must agree in to be continued.
    package var journal: [String: JSONValue] {
        [
            "next-token": .plain(weights.nextToken), "kl": .plain(weights.divergence),
            "hidden": .plain(weights.hidden), "task": .plain(weights.task),
            "tokens": .integer(tokens), "batch-tokens": .integer(batchTokens),
            "window": .integer(window), "micro-batch-tokens": .integer(microBatchTokens ?? 0),
            "checkpoint-blocks": .string(checkpointsBlocks.map { "\($0)" } ?? "by arithmetic"),
            "learning-rate": .plain(learningRate), "schedule": .string(schedule.rawValue),
            "warmup": .plain(warmup), "floor": .plain(floor),
            "weight-decay": .plain(weightDecay), "clip": .plain(clip),
            "teacher-cache": .integer(teacherCount), "train-embeddings": .bool(trainsEmbeddings),
            "seed": .string("\(seed)"),
        ]
    }
}

extension JSONValue {
    /// A number as JSON gives it back: a whole one without a fraction.
    fileprivate static func plain(_ number: Double) -> JSONValue {
        Int(exactly: number).map { .integer($0) } ?? .number(number)
    }
}
