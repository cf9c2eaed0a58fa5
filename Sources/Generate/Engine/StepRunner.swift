import Models
import Tensors

/// Computes what the scheduler plans.
package protocol StepRunner: AnyObject {
    /// Blocks that the cache has, and tokens of each.
    var blocks: Int { get }
    var blockTokens: Int { get }
    /// Blocks whose copies the host has room for.
    var spillBlocks: Int { get }

    /// Copies what the step has to be saved and restored, then computes it.
    /// - Returns: logits `[predictedRows, vocabulary]` behind the tokens of the items, in their order.
    func logits(of step: Scheduler.Step) throws -> Tensor

    /// What a draft model reads of the step that was computed last: for each token of a request's item what entered the
    /// layers that the runner was asked to look at, one beside the other, `[tokens, layers · hidden]`.
    func features(of request: RequestID) throws -> Tensor?

    /// How likely the prompt's tokens were that the step that was computed last was asked about, in their order.
    func scores(of request: RequestID) -> [TokenLogprobs]

    /// What is said of the token behind each row that predicts, in their order.
    /// - Parameter choices: how each is chosen; logits are wanted where that is `nil`, and may come where it is not.
    func predictions(of step: Scheduler.Step, _ choices: [TokenChoice?]) throws -> [Prediction]
}

/// What a step says of a request's next token.
package enum Prediction {
    /// The one that was to be chosen.
    case token(Int)
    case logits([Float])
    case notFinite
}

extension StepRunner {
    package var spillBlocks: Int { 0 }

    package func features(of request: RequestID) throws -> Tensor? { nil }

    /// Where the likeliest token is all that is asked for, logits stay where they are; a choice that depends on more is the
    /// host's.
    package func predictions(
        of step: Scheduler.Step, _ choices: [TokenChoice?]
    ) throws -> [Prediction] {
        try Self.predictions(out: logits(of: step), choices)
    }

    /// - Parameter logits: `[choices, vocabulary]`.
    static func predictions(
        out logits: Tensor, _ choices: [TokenChoice?]
    ) throws -> [Prediction] {
        var predictions = [Prediction](repeating: .notFinite, count: choices.count)
        let isPlain = choices.map { $0?.isPlain ?? false }
        if isPlain.contains(true) {
            // Of a row with what is no number, this is what is found.
            let best = try logits.argmax(1)
            let values = try logits.gathered(best.unsqueezed(1), along: 1).elements(as: Float.self)
            let tokens = try best.elements(as: Int.self)
            for index in choices.indices where isPlain[index] && values[index].isFinite {
                predictions[index] = .token(tokens[index])
            }
        }
        let others = choices.indices.filter { !isPlain[$0] }
        guard !others.isEmpty else { return predictions }
        let places = try Tensor(others, shape: [others.count], on: logits.device)
        let values = try logits.selecting(places, along: 0).elements(as: Float.self)
        let width = values.count / others.count
        for (row, index) in others.enumerated() {
            predictions[index] = .logits(Array(values[row * width..<(row + 1) * width]))
        }
        return predictions
    }
}

/// Runs a model through libtorch, on the device that holds it.
package final class ModelRunner: StepRunner {
    private let model: CausalLanguageModel
    private let cache: PagedCache
    private let spill: SpillMemory?
    /// Layers whose inputs a draft model reads.
    private let tapped: [Int]
    private var features: [RequestID: Tensor] = [:]
    private var scores: [RequestID: [TokenLogprobs]] = [:]

    package convenience init(
        _ model: CausalLanguageModel, blocks: Int, blockTokens: Int = 64,
        as type: ElementType? = nil,
        spill: Int = 0, noise: UInt64? = nil, tapping tapped: [Int] = []
    ) throws {
        let cache = try PagedCache(
            model.configuration, blocks: blocks, blockTokens: blockTokens,
            as: type ?? model.ends.embedding.elementType, on: model.device, noise: noise)
        self.init(model, cache, spill: try SpillMemory(of: cache, blocks: spill), tapping: tapped)
    }

    /// - Parameter spill: `nil` where another runner of the same cache has it.
    init(
        _ model: CausalLanguageModel, _ cache: PagedCache, spill: SpillMemory? = nil,
        tapping tapped: [Int] = []
    ) {
        (self.model, self.cache, self.spill, self.tapped) = (model, cache, spill, tapped)
    }

    package var blocks: Int { cache.blocks }
    package var blockTokens: Int { cache.blockTokens }
    package var spillBlocks: Int { spill?.blocks ?? 0 }

    package func logits(of step: Scheduler.Step) throws -> Tensor {
        try withoutGradients {
            try spill?.transfer(for: step)
            let batch = try model.batch(
                step.items.map { .init(tokens: $0.tokens, start: $0.start, blocks: $0.blocks) },
                cache)
            var (places, scored, offset) = ([Int](), [Int](), 0)
            for item in step.items {
                scored += item.scoredRows.map { offset + $0 }
                offset += item.tokens.count
                places += offset - item.predictedRows..<offset
            }
            let found = try model.hiddenStates(batch, at: places + scored, tapping: tapped)
            features = [:]
            if let tapped = found.tapped {
                var offset = 0
                for item in step.items {
                    features[item.request] = try tapped.narrowed(
                        0, offset..<offset + item.tokens.count)
                    offset += item.tokens.count
                }
            }
            scores = try PromptScores(model.ends).scores(
                of: step.items, found.states.narrowed(0, places.count..<places.count + scored.count)
            )
            return try model.ends.project(found.states.narrowed(0, 0..<places.count))
        }
    }

    package func features(of request: RequestID) -> Tensor? { features[request] }

    package func scores(of request: RequestID) -> [TokenLogprobs] { scores[request] ?? [] }
}

extension SpillMemory {
    /// What a step wants copied before it is computed.
    func transfer(for step: Scheduler.Step) throws {
        try save(step.saved.map(\.block), at: step.saved.map(\.place))
        try restore(step.restored.map(\.block), from: step.restored.map(\.place))
    }
}
