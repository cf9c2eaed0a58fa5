// Requests in, pieces of text out. One step after the other: the scheduler says what to compute, the runner computes it,
// each request draws its token with a sampler of its own and takes what is certain of its text. Whoever owns the engine
// calls it from one thread.
import Artifacts
import Models
import Tensors
import Text

package final class Engine {
    /// What became of a request in a step.
    package enum Event: Sendable {
        /// It has left the queue.
        case started(RequestID)
        /// Text that is certain to be part of the answer, and the tokens that it has so far.
        case text(RequestID, String, tokens: Int)
        /// Of the next token, where log-probabilities were asked for; its text may come with a later event.
        case logprobs(RequestID, TokenLogprobs)
        case finished(RequestID, Generator.Result)
        /// It ended without an answer; others are not concerned.
        case failed(RequestID, any Error)
    }

    private struct Answer {
        var sampler: Sampler
        var decoder: StreamingDecoder
        var scanner: StopScanner
        let endTokens: Set<Int>
        var isStarted = false
        var tokens: [Int] = []
        var text = ""

        mutating func choose(_ prediction: Prediction) throws -> (Int, TokenLogprobs?) {
            switch prediction {
            case .token(let token):
                sampler.accept(token)
                return (token, nil)
            case .notFinite: throw GenerateError.notFinite
            case .logits(let logits):
                guard logits.allSatisfy(\.isFinite) else { throw GenerateError.notFinite }
                let token = sampler.next(logits)
                return (
                    token,
                    sampler.reportedTokens.map { TokenLogprobs(of: token, logits, top: $0) }
                )
            }
        }

        /// - Returns: text that has become certain.
        mutating func admit(_ token: Int) throws -> String {
            tokens.append(token)
            return keep(scanner.admit(try decoder.append(TokenID(token))))
        }

        /// - Returns: text that was held back, in case a stop string had begun in it.
        mutating func finish() -> String {
            scanner.isStopped ? "" : keep(scanner.admit(decoder.finish()) + scanner.finish())
        }

        private mutating func keep(_ piece: String) -> String {
            text += piece
            return piece
        }
    }

    package let configuration: ModelConfiguration
    private let tokenizer: Tokenizer
    private let runner: any StepRunner
    package private(set) var scheduler: Scheduler
    private var answers: [RequestID: Answer] = [:]
    private var lastID = 0
    /// Tokens that went through the model in the last step.
    package private(set) var stepTokens = 0

    package init(
        _ runner: any StepRunner, _ configuration: ModelConfiguration, tokenizer: Tokenizer,
        limits: Scheduler.Limits = .init()
    ) {
        (self.runner, self.configuration, self.tokenizer) = (runner, configuration, tokenizer)
        scheduler = Scheduler(
            blocks: runner.blocks, blockTokens: runner.blockTokens, limits: limits,
            spill: runner.spillBlocks)
    }

    package var isIdle: Bool { scheduler.isIdle }

    /// Whether `prompt` can be continued at all.
    static func check(_ prompt: [Int], _ configuration: ModelConfiguration) throws(GenerateError) {
        guard !prompt.isEmpty else { throw .emptyPrompt }
        let (context, vocabulary) = (configuration.maxPositions, configuration.vocabularySize)
        guard prompt.count < context else {
            throw .promptTooLong(tokens: prompt.count, context: context)
        }
        if let token = prompt.first(where: { !(0..<vocabulary).contains($0) }) {
            throw .tokenOutOfRange(token, vocabulary: vocabulary)
        }
    }

    /// Accepts a request.
    /// - Parameters:
    ///   - prompt: token ids.
    ///   - options: for a token at least.
    package func submit(_ prompt: [Int], _ options: Generator.Options) throws -> RequestID {
        try Self.check(prompt, configuration)
        let endTokens = options.stopTokens.union(
            options.endsAtEndOfText ? configuration.endTokens : [])
        var sampler = try Sampler(
            options.sampling, constraint: options.constraint, endTokens: endTokens)
        sampler.observe(prompt)
        let id = RequestID(lastID + 1)
        try scheduler.add(
            id, prompt: prompt.map(Int32.init),
            generated: min(options.maxTokens, configuration.maxPositions - prompt.count))
        lastID += 1
        answers[id] = Answer(
            sampler: sampler, decoder: StreamingDecoder(tokenizer),
            scanner: StopScanner(options.stops),
            endTokens: endTokens)
        return id
    }

    /// Forgets a request; its blocks are free for the next step.
    package func cancel(_ id: RequestID) {
        scheduler.remove(id)
        answers[id] = nil
    }

    /// Computes one step. What fails in it fails the requests that were part of it, and no others.
    package func step() -> [Event] {
        guard let step = scheduler.next() else { return [] }
        stepTokens = step.tokens
        var events: [Event] = []
        for item in step.items where answers[item.request]?.isStarted == false {
            answers[item.request]?.isStarted = true
            events.append(.started(item.request))
        }
        let predictions: [RequestID: Prediction]
        do {
            predictions = try self.predictions(of: step)
        } catch {
            scheduler.abandon()
            return events + step.items.map { fail($0.request, error) }
        }
        var predicted: [RequestID: Int32] = [:]
        for (id, prediction) in predictions.sorted(by: { $0.key < $1.key }) {
            do {
                guard let (token, logprobs) = try answers[id]?.choose(prediction) else { continue }
                if answers[id]?.endTokens.contains(token) == true {
                    events += finish(id, .stop)
                    continue
                }
                if let logprobs { events.append(.logprobs(id, logprobs)) }
                predicted[id] = Int32(token)
                guard let piece = try answers[id]?.admit(token), let answer = answers[id] else {
                    continue
                }
                if !piece.isEmpty { events.append(.text(id, piece, tokens: answer.tokens.count)) }
                if answer.scanner.isStopped || answer.sampler.isComplete {
                    events += finish(id, .stop)
                }
            } catch {
                events.append(fail(id, error))
            }
        }
        for id in scheduler.finish(predicted) { events += finish(id, .length) }
        return events
    }

    /// What is said of each request whose next token is wanted.
    private func predictions(of step: Scheduler.Step) throws -> [RequestID: Prediction] {
        let wanted = step.items.filter(\.predicts).map(\.request)
        let predictions = try runner.predictions(
            of: step, wanted.map { answers[$0]?.sampler.choice })
        return Dictionary(uniqueKeysWithValues: zip(wanted, predictions))
    }

    private func finish(_ id: RequestID, _ reason: Generator.FinishReason) -> [Event] {
        scheduler.remove(id)
        guard var answer = answers.removeValue(forKey: id) else { return [] }
        let rest = answer.finish()
        return (rest.isEmpty ? [] : [.text(id, rest, tokens: answer.tokens.count)]) + [
            .finished(
                id,
                Generator.Result(tokens: answer.tokens, text: answer.text, finishReason: reason))
        ]
    }

    private func fail(_ id: RequestID, _ error: any Error) -> Event {
        scheduler.remove(id)
        answers[id] = nil
        return .failed(id, error)
    }
}
