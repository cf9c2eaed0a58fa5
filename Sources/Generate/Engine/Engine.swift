// Requests in, pieces of text out. One step after the other: the scheduler says what to compute, the runner computes it,
// each request draws its token with a sampler of its own and takes what is certain of its text. Whoever owns the engine
// calls it from one thread.
//
// With a drafter a step may bring a request several tokens. Each is drawn as it would be without: by the request's own chance,
// from the model's prediction behind the tokens before it. A drafted token stands if it is the one that is drawn, so the text
// is the same, token by token, with any drafter and with none; that the model's distribution is unchanged follows (coupling by
// common randomness, Daliri et al. 2024, arXiv 2408.07978).
import Artifacts
import Models
import Tensors
import Text

package final class Engine {
    /// What became of a request in a step.
    package enum Event: Sendable {
        /// It has left the queue.
        case started(RequestID)
        /// The token whose text may follow was guessed right.
        case guessed(RequestID)
        /// Text that is certain to be part of the answer, and the tokens that it has so far.
        case text(RequestID, String, tokens: Int)
        /// Of the next token, where log-probabilities were asked for; its text may come with a later event. Where they were
        /// asked for of the prompt, its tokens come first, from the second on.
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
        /// Nothing is to follow: all that was asked for is how likely the prompt was.
        let isEmpty: Bool
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
    private let drafter: (any Drafter)?
    private var length: DraftLength
    /// What may follow the tokens of requests that decode.
    private var drafts: [RequestID: [Int32]] = [:]
    package private(set) var draftCounts = DraftCounts()
    /// Why the last step brought no draft, where that failed.
    package private(set) var draftFault: String?

    /// - Parameters:
    ///   - drafter: reads what `runner` leaves.
    ///   - draftLength: tokens of a draft; `nil`: as many as pay, by what is measured.
    package init(
        _ runner: any StepRunner, _ configuration: ModelConfiguration, tokenizer: Tokenizer,
        limits: Scheduler.Limits = .init(), drafter: (any Drafter)? = nil, draftLength: Int? = nil
    ) {
        (self.runner, self.configuration, self.tokenizer) = (runner, configuration, tokenizer)
        self.drafter = drafter
        length = DraftLength(limit: drafter?.limit ?? 0, fixed: draftLength)
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
    ///   - options: for a token at least, or for none where the prompt is scored.
    ///   - top: how likely the prompt's tokens were is told, and so many of the likeliest beside each; `nil`: it is not.
    package func submit(
        _ prompt: [Int], _ options: Generator.Options, scoring top: Int? = nil
    ) throws -> RequestID {
        precondition(options.maxTokens > 0 || top != nil, "checked by who takes requests")
        try Self.check(prompt, configuration)
        let endTokens = options.stopTokens.union(
            options.endsAtEndOfText ? configuration.endTokens : [])
        var sampler = try Sampler(
            options.sampling, constraint: options.constraint, endTokens: endTokens)
        sampler.observe(prompt)
        let id = RequestID(lastID + 1)
        try scheduler.add(
            id, prompt: prompt.map(Int32.init),
            generated: min(max(1, options.maxTokens), configuration.maxPositions - prompt.count),
            scoring: top)
        lastID += 1
        answers[id] = Answer(
            sampler: sampler, decoder: StreamingDecoder(tokenizer),
            scanner: StopScanner(options.stops),
            endTokens: endTokens, isEmpty: options.maxTokens == 0)
        return id
    }

    /// Forgets a request; its blocks are free for the next step.
    package func cancel(_ id: RequestID) {
        forget(id)
        answers[id] = nil
    }

    private func forget(_ id: RequestID) {
        scheduler.remove(id)
        drafts[id] = nil
        drafter?.end(id)
    }

    /// Computes one step. What fails in it fails the requests that were part of it, and no others.
    package func step() -> [Event] {
        guard let step = scheduler.next(drafts: drafts) else { return [] }
        stepTokens = step.tokens
        drafts = [:]
        let start = ContinuousClock.now
        var events: [Event] = []
        for item in step.items where answers[item.request]?.isStarted == false {
            answers[item.request]?.isStarted = true
            events.append(.started(item.request))
        }
        do {
            try drafter?.transfer(for: step)
        } catch {
            // Guesses are worse, the text is not.
            draftFault = "\(error)"
        }
        let predictions: [RequestID: [Prediction]]
        do {
            predictions = try self.predictions(of: step)
        } catch {
            scheduler.abandon()
            return events + step.items.map { fail($0.request, error) }
        }
        let computed = ContinuousClock.now
        for item in step.items where item.scoring != nil && answers[item.request] != nil {
            do {
                events += try scores(of: item)
            } catch {
                events.append(fail(item.request, error))
            }
        }
        var predicted: [RequestID: [Int32]] = [:]
        for item in step.items where item.predicts && answers[item.request] != nil {
            guard let predictions = predictions[item.request] else { continue }
            do {
                try take(predictions, item, &predicted, &events)
            } catch {
                events.append(fail(item.request, error))
            }
        }
        for id in scheduler.finish(predicted) { events += finish(id, .length) }
        draft(behind: step, computing: computed - start)
        return events
    }

    /// Gives a request its next tokens: one, and as many more as its draft was right.
    private func take(
        _ predictions: [Prediction], _ item: Scheduler.Item,
        _ predicted: inout [RequestID: [Int32]], _ events: inout [Event]
    ) throws {
        let (id, draft) = (item.request, Array(item.draft))
        if answers[id]?.isEmpty == true {
            events += finish(id, .length)
            return
        }
        defer {
            if !draft.isEmpty {
                let accepted = zip(draft, predicted[id] ?? []).prefix { $0 == $1 }.count
                draftCounts.count(drafted: draft.count, accepted: accepted)
                length.learn(drafted: draft.count, accepted: accepted)
            }
        }
        for (row, prediction) in predictions.enumerated() {
            guard let (token, logprobs) = try answers[id]?.choose(prediction) else { return }
            if answers[id]?.endTokens.contains(token) == true {
                events += finish(id, .stop)
                return
            }
            if let logprobs { events.append(.logprobs(id, logprobs)) }
            predicted[id, default: []].append(Int32(token))
            guard let piece = try answers[id]?.admit(token), let answer = answers[id] else {
                return
            }
            if row < draft.count, draft[row] == token { events.append(.guessed(id)) }
            if !piece.isEmpty { events.append(.text(id, piece, tokens: answer.tokens.count)) }
            if answer.scanner.isStopped || answer.sampler.isComplete {
                events += finish(id, .stop)
                return
            }
            guard row < draft.count, draft[row] == token else { return }
        }
    }

    /// How likely tokens of a prompt were.
    private func scores(of item: Scheduler.Item) throws -> [Event] {
        let scores = runner.scores(of: item.request)
        precondition(
            scores.map(\.chosen.token) == item.scoring?.targets.map(Int.init),
            "a runner scores what it is asked to")
        guard scores.allSatisfy(\.isFinite) else { throw GenerateError.notFinite }
        return scores.map { .logprobs(item.request, $0) }
    }

    /// What is said of the next tokens of each request whose next token is wanted.
    private func predictions(of step: Scheduler.Step) throws -> [RequestID: [Prediction]] {
        let wanted = step.items.filter(\.predicts)
        let choices = wanted.flatMap { item -> [TokenChoice?] in
            guard let sampler = answers[item.request]?.sampler else {
                return Array(repeating: nil, count: item.predictedRows)
            }
            return sampler.choices(assuming: item.draft.map(Int.init))
        }
        var rest = try runner.predictions(of: step, choices)[...]
        return Dictionary(
            uniqueKeysWithValues: wanted.map { item in
                defer { rest = rest.dropFirst(item.predictedRows) }
                return (item.request, Array(rest.prefix(item.predictedRows)))
            })
    }

    /// Asks for the drafts of the next step. Where that fails the text goes on without.
    private func draft(behind step: Scheduler.Step, computing: Duration) {
        guard let drafter else { return }
        let decoding = step.items.filter { $0.decodes && $0.predicts }
        let onlyDecodes = decoding.count == step.items.count
        if onlyDecodes {
            length.learn(
                sequences: decoding.count, rows: step.tokens, seconds: computing.inSeconds)
        }
        let wanted = length.wanted(sequences: scheduler.runningCount)
        guard wanted > 0 || length.isFollowing else { return }
        var turns: [DraftTurn] = []
        for (index, item) in step.items.enumerated() {
            scheduler.reserve(wanted, for: item.request)
            guard let tokens = scheduler.tokens(of: item.request),
                let states = scheduler.states(of: item.request),
                let sampler = answers[item.request]?.sampler
            else { continue }
            let count = tokens.count == states.computed + 1 ? wanted : 0
            turns.append(
                DraftTurn(
                    request: item.request, item: index, kept: states.computed - item.start,
                    tokens: tokens, blocks: states.blocks, wanted: count,
                    choices: sampler.choices(count)))
        }
        guard !turns.isEmpty else { return }
        let start = ContinuousClock.now
        do {
            drafts = try drafter.draft(behind: step, turns)
            draftFault = nil
        } catch {
            draftFault = "\(error)"
        }
        // A prompt is followed once.
        guard onlyDecodes else { return }
        length.learn(
            drafted: wanted, sequences: decoding.count,
            seconds: (ContinuousClock.now - start).inSeconds)
    }

    /// Computes steps until nothing is left to do.
    /// - Parameter behindEachStep: gets what has ended so far.
    /// - Returns: what became of each request.
    /// - Throws: what a request failed with; the others are left where they are.
    package func run(
        behindEachStep: ([RequestID: Generator.Result]) throws -> Void = { _ in }
    ) throws -> [RequestID: Generator.Result] {
        var results: [RequestID: Generator.Result] = [:]
        while !isIdle {
            for event in step() {
                switch event {
                case .finished(let id, let result): results[id] = result
                case .failed(_, let error): throw error
                case .started, .guessed, .text, .logprobs: break
                }
            }
            try behindEachStep(results)
        }
        return results
    }

    private func finish(_ id: RequestID, _ reason: Generator.FinishReason) -> [Event] {
        forget(id)
        guard var answer = answers.removeValue(forKey: id) else { return [] }
        let rest = answer.finish()
        return (rest.isEmpty ? [] : [.text(id, rest, tokens: answer.tokens.count)]) + [
            .finished(
                id,
                Generator.Result(tokens: answer.tokens, text: answer.text, finishReason: reason))
        ]
    }

    private func fail(_ id: RequestID, _ error: any Error) -> Event {
        forget(id)
        answers[id] = nil
        return .failed(id, error)
    }
}

extension Duration {
    fileprivate var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
