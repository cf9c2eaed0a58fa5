import Generate
import Serve
import Text

/// The engine as the server wants it.
final class ServedEngine: TokenEngine {
    private let engine: Engine

    init(_ engine: Engine) { self.engine = engine }

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
        return try engine.submit(request.prompt, options).number
    }

    func cancel(_ id: Int) { engine.cancel(RequestID(id)) }

    func step() -> [EngineEvent] {
        engine.step().map { event in
            switch event {
            case .started(let id): .started(id.number)
            case .text(let id, let text, let tokens): .text(id.number, text, tokens: tokens)
            case .logprobs(let id, let logprobs):
                .likelihood(
                    id.number,
                    TokenLikelihood(
                        chosen: .init(logprobs.chosen), top: logprobs.top.map { .init($0) }))
            case .finished(let id, let result):
                .finished(
                    id.number, result.finishReason == .stop ? .stop : .length,
                    tokens: result.tokens.count)
            case .failed(let id, let error): .failed(id.number, "\(error)")
            }
        }
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
