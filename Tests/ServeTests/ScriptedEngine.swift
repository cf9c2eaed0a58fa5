import Foundation
import Serve
import Synchronization

/// What a scripted engine is told, and what it tells, from any thread.
final class Script: Sendable {
    struct State {
        /// Seconds that a step takes.
        var stepSeconds = 0.0
        /// Steps from now on that fail as a whole.
        var failingSteps = 0
        /// Steps wait while it is set.
        var isStuck = false
        var piece = " word"
        /// Answers end by themselves rather than at their limit.
        var finishesWithStop = false
        var submitted: [EngineRequest] = []
        var cancelled: [Int] = []
        var steps = 0
        var running = 0
        /// Seconds between the end of a step and the beginning of the next, and requests that ran.
        var gaps: [(requests: Int, seconds: Double)] = []
    }

    private let state = Mutex(State())

    func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }
    var now: State { state.withLock { $0 } }
}

/// Writes the same word again and again: one token of each running request a step, as many as it may.
final class ScriptedEngine: TokenEngine {
    struct Fault: Error, CustomStringConvertible {
        let description = "the device is on fire"
    }

    private let script: Script
    private let concurrency: Int
    private var requests: [(id: Int, request: EngineRequest, tokens: Int)] = []
    private var last = 0
    private var ended: ContinuousClock.Instant?

    init(_ script: Script, concurrency: Int = 8) {
        (self.script, self.concurrency) = (script, concurrency)
    }

    var isIdle: Bool { requests.isEmpty }

    var load: EngineLoad {
        var load = EngineLoad()
        load.running = min(concurrency, requests.count)
        load.waiting = requests.count - load.running
        load.blocks = 100
        load.blocksInUse = load.running
        load.stepTokens = load.running
        return load
    }

    func submit(_ request: EngineRequest) throws -> Int {
        if request.prompt == [666] { throw Fault() }
        last += 1
        requests.append((last, request, 0))
        script.change {
            $0.submitted.append(request)
            $0.running = requests.count
        }
        return last
    }

    func cancel(_ id: Int) {
        requests.removeAll { $0.id == id }
        script.change {
            $0.cancelled.append(id)
            $0.running = requests.count
        }
    }

    /// The n-th token of a prompt has the logarithm −n.
    private static func scores(of request: EngineRequest) -> [TokenLikelihood] {
        guard request.scoresPrompt else { return [] }
        return request.prompt.enumerated().dropFirst().map { index, token in
            let entry = TokenLikelihood.Entry(token: token, logprob: -Double(index))
            return TokenLikelihood(chosen: entry, top: [entry])
        }
    }

    func step() -> [EngineEvent] {
        if let ended {
            let gap = (ContinuousClock.now - ended).seconds
            script.change { $0.gaps.append((requests.count, gap)) }
        }
        defer { ended = requests.isEmpty ? nil : .now }
        while script.now.isStuck { Thread.sleep(forTimeInterval: 0.005) }
        if script.now.stepSeconds > 0 { Thread.sleep(forTimeInterval: script.now.stepSeconds) }
        var fails = false
        script.change {
            $0.steps += 1
            fails = $0.failingSteps > 0
            if fails { $0.failingSteps -= 1 }
        }
        var events: [EngineEvent] = []
        let count = min(concurrency, requests.count)
        for index in 0..<count {
            if fails {
                events.append(.failed(requests[index].id, "\(Fault())"))
                continue
            }
            if requests[index].tokens == 0 {
                events.append(.started(requests[index].id))
                events += Self.scores(of: requests[index].request).map {
                    .likelihood(requests[index].id, $0)
                }
            }
            if requests[index].request.maxTokens == 0 {
                events.append(.finished(requests[index].id, .length, tokens: 0))
                continue
            }
            requests[index].tokens += 1
            let (id, request, tokens) = requests[index]
            if let top = request.sampling.logprobs {
                events.append(
                    .likelihood(
                        id,
                        TokenLikelihood(
                            chosen: .init(token: 1000, logprob: -0.5),
                            top: (0..<top).map {
                                .init(token: 1000 + $0, logprob: -0.5 - Double($0))
                            }
                        )))
            }
            events.append(.text(id, script.now.piece, tokens: tokens))
            if tokens == request.maxTokens {
                let reason: FinishReason = script.now.finishesWithStop ? .stop : .length
                events.append(.finished(id, reason, tokens: tokens))
            }
        }
        let ended = fails ? Set(requests.prefix(count).map(\.id)) : []
        requests.removeAll { $0.tokens == $0.request.maxTokens || ended.contains($0.id) }
        script.change { $0.running = requests.count }
        return events
    }
}
