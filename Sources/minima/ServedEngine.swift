import Generate
import Serve
import Text

/// The engine as the server wants it.
final class ServedEngine: TokenEngine {
    private let engine: Engine
    /// Gets finished answers.
    private let shadow: Shadow?
    /// Of requests that run, where there is a shadow.
    private var prompts: [Int: [Int]] = [:]
    private let onEnd: () -> Void

    /// - Parameter onEnd: called when nothing is to be computed any more and its memory is to go.
    init(_ engine: Engine, shadow: Shadow? = nil, onEnd: @escaping () -> Void = {}) {
        (self.engine, self.shadow, self.onEnd) = (engine, shadow, onEnd)
    }

    deinit { onEnd() }

    var isIdle: Bool { engine.isIdle }

    var load: EngineLoad {
        var load = EngineLoad()
        load.running = engine.scheduler.runningCount
        load.waiting = engine.scheduler.waitingCount
        load.blocks = engine.scheduler.pool.count
        load.blocksInUse = engine.scheduler.pool.inUse
        load.preemptions = engine.scheduler.counts.preemptions
        load.prefixQueries = engine.scheduler.counts.cacheQueries
        load.prefixHits = engine.scheduler.counts.cacheHits
        load.stepTokens = engine.stepTokens
        let counts = engine.draftCounts
        (load.drafts, load.draftedTokens) = (counts.drafts, counts.drafted)
        (load.acceptedTokens, load.acceptedByPosition) = (counts.accepted, counts.acceptedAt)
        return load
    }

    func submit(_ request: EngineRequest) throws -> Int {
        var options = Generator.Options()
        options.sampling = request.sampling.options
        options.maxTokens = request.maxTokens
        options.stops = request.stops
        options.stopTokens = request.stopTokens
        options.endsAtEndOfText = !request.ignoresEnd
        options.constraint = request.constraint
        let id = try engine.submit(
            request.prompt, options, scoring: request.scoresPrompt ? request.sampling.logprobs : nil
        ).number
        if shadow != nil { prompts[id] = request.prompt }
        return id
    }

    func cancel(_ id: Int) {
        engine.cancel(RequestID(id))
        prompts[id] = nil
    }

    func step() -> [EngineEvent] {
        engine.step().compactMap { event in
            switch event {
            case .started(let id): .started(id.number)
            case .text(let id, let text, let tokens): .text(id.number, text, tokens: tokens)
            case .logprobs(let id, let logprobs):
                .likelihood(
                    id.number,
                    TokenLikelihood(
                        chosen: .init(logprobs.chosen), top: logprobs.top.map { .init($0) }))
            case .guessed: nil
            case .finished(let id, let result): finished(id.number, result)
            case .failed(let id, let error): failed(id.number, error)
            }
        }
    }

    private func finished(_ id: Int, _ result: Generator.Result) -> EngineEvent {
        if let shadow, let prompt = prompts.removeValue(forKey: id) {
            shadow.offer(prompt: prompt, answer: result.tokens)
        }
        return .finished(
            id, result.finishReason == .stop ? .stop : .length, tokens: result.tokens.count)
    }

    private func failed(_ id: Int, _ error: any Error) -> EngineEvent {
        prompts[id] = nil
        return .failed(id, "\(error)")
    }
}

extension TokenLikelihood.Entry {
    fileprivate init(_ entry: TokenLogprobs.Entry) {
        self.init(token: entry.token, logprob: entry.logprob)
    }
}

extension SamplingParameters {
    fileprivate var options: SamplingOptions {
        var options = SamplingOptions()
        options.temperature = temperature
        options.topK = topK
        options.topP = topP
        options.minP = minP
        options.repetitionPenalty = repetitionPenalty
        options.presencePenalty = presencePenalty
        options.frequencyPenalty = frequencyPenalty
        options.bias = bias
        options.logprobs = logprobs
        options.seed = seed
        return options
    }
}
