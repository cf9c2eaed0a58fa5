import Synchronization

/// When what happened to a request, for the histograms and the log.
package final class RequestTimeline: Sendable {
    private struct Choice {
        var started: ContinuousClock.Instant?
        var first: ContinuousClock.Instant?
        var last: ContinuousClock.Instant?
        var tokens = 0
    }

    package let arrival = ContinuousClock.now
    private let choices: Mutex<[Choice]>

    package init(choices: Int) {
        self.choices = Mutex(Array(repeating: Choice(), count: choices))
    }

    func start(_ choice: Int, at time: ContinuousClock.Instant, _ metrics: Metrics) {
        choices.withLock { $0[choice].started = time }
        metrics.observe(.queueTime, (time - arrival).seconds)
    }

    /// - Parameter tokens: that the choice has by now.
    func observe(
        _ tokens: Int, choice: Int, at time: ContinuousClock.Instant, _ metrics: Metrics
    ) {
        let (before, after) = choices.withLock { choices in
            let before = choices[choice]
            guard tokens > before.tokens else { return (before, before) }
            if before.first == nil { choices[choice].first = time }
            choices[choice].last = time
            choices[choice].tokens = tokens
            return (before, choices[choice])
        }
        guard after.tokens > before.tokens else { return }
        metrics.add(generationTokens: after.tokens - before.tokens)
        if let last = before.last {
            metrics.observe(.interTokenLatency, (time - last).seconds)
        } else {
            metrics.observe(.timeToFirstToken, (time - arrival).seconds)
            if let started = after.started {
                metrics.observe(.prefillTime, (time - started).seconds)
            }
        }
    }

    /// Tokens of all choices.
    package var tokens: Int { choices.withLock { $0.reduce(0) { $0 + $1.tokens } } }

    /// Seconds to the first token of any choice.
    package var timeToFirstToken: Double? {
        choices.withLock { $0.compactMap(\.first).min() }.map { ($0 - arrival).seconds }
    }

    /// Tells the histograms of what is only known at the end.
    func finish(_ metrics: Metrics) {
        metrics.observe(.endToEnd, (.now - arrival).seconds)
        let choices = choices.withLock { $0 }
        metrics.observe(.longestAnswer, Double(choices.map(\.tokens).max() ?? 0))
        for choice in choices {
            metrics.observe(.generationTokens, Double(choice.tokens))
            guard let first = choice.first, let last = choice.last else { continue }
            metrics.observe(.decodeTime, (last - first).seconds)
            if let started = choice.started {
                metrics.observe(.inferenceTime, (last - started).seconds)
            }
        }
    }
}

extension Duration {
    package var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
