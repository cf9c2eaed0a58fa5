// The engine's own thread: it steps while there is work and sleeps otherwise. Whoever has a request leaves it in the inbox;
// what a step brought is handed to another queue as it is, so that the thread is back at the next step within microseconds.
import Dispatch
import Synchronization

/// Runs an engine for many tasks.
package final class EngineService: Sendable {
    /// One choice of an HTTP request.
    package struct Ticket: Hashable, Sendable {
        fileprivate let number: Int
    }

    /// A step's events, with who they are for.
    private enum News: Sendable {
        case event(EngineEvent, Recipient)
        case failed(APIError, Recipient)
    }

    private struct Recipient: Sendable {
        let ticket: Ticket
        let choice: Int
        let timeline: RequestTimeline
        let mailbox: Mailbox
    }

    private enum Command: Sendable {
        case submit(EngineRequest, Recipient)
        case cancel(Ticket)
        /// There may be something to do that the inbox knows nothing of.
        case wake
    }

    private struct Inbox {
        var commands: [Command] = []
        var isStopping = false
        var isAsleep = false
        var lastTicket = 0
    }

    private struct Pulse {
        var load = EngineLoad()
        var isBusy = false
        /// When work was last seen to go on.
        var progress = ContinuousClock.now
        /// Steps that failed, one after the other.
        var failures = 0
    }

    private let inbox = Mutex(Inbox())
    private let pulse = Mutex(Pulse())
    private let bell = DispatchSemaphore(value: 0)
    private let deliveries = DispatchQueue(label: "minima.deliveries")
    /// Steps whose news nobody has delivered yet; the engine waits for the rest of the program rather than run away from
    /// it.
    private let backlog = DispatchSemaphore(value: 64)
    private let metrics: Metrics

    package init(metrics: Metrics) { self.metrics = metrics }

    // MARK: For any thread

    /// Leaves a request for the engine.
    package func submit(
        _ request: EngineRequest, choice: Int, timeline: RequestTimeline, to mailbox: Mailbox
    ) -> Ticket {
        let (ticket, isAsleep) = inbox.withLock { inbox in
            inbox.lastTicket += 1
            let ticket = Ticket(number: inbox.lastTicket)
            inbox.commands.append(
                .submit(
                    request,
                    Recipient(ticket: ticket, choice: choice, timeline: timeline, mailbox: mailbox))
            )
            defer { inbox.isAsleep = false }
            return (ticket, inbox.isAsleep)
        }
        if isAsleep { bell.signal() }
        return ticket
    }

    /// Ends requests, whatever has become of them; their blocks are free for the step after the current one.
    package func cancel(_ tickets: [Ticket]) {
        let isAsleep = inbox.withLock { inbox in
            inbox.commands += tickets.map { .cancel($0) }
            defer { inbox.isAsleep = false }
            return inbox.isAsleep
        }
        if isAsleep { bell.signal() }
    }

    /// Has the engine look whether there is something to do.
    package func wake() {
        let isAsleep = inbox.withLock { inbox in
            inbox.commands.append(.wake)
            defer { inbox.isAsleep = false }
            return inbox.isAsleep
        }
        if isAsleep { bell.signal() }
    }

    /// Ends `run` after the current step.
    package func stop() {
        let isAsleep = inbox.withLock { inbox in
            inbox.isStopping = true
            defer { inbox.isAsleep = false }
            return inbox.isAsleep
        }
        if isAsleep { bell.signal() }
    }

    package var load: EngineLoad { pulse.withLock { $0.load } }

    /// What is wrong with the engine, if anything.
    /// - Parameter bound: time in which a step must end while work waits.
    package func complaint(bound: Duration) -> String? {
        pulse.withLock { pulse in
            let silence = ContinuousClock.now - pulse.progress
            if pulse.isBusy, silence > bound {
                return
                    "no step has ended for \(silence.components.seconds) s while requests wait"
            }
            if pulse.failures >= Self.toleratedFailures {
                return "the last \(pulse.failures) steps failed"
            }
            return nil
        }
    }

    /// Steps that may fail one after the other before the engine counts as broken; it goes on trying.
    package static let toleratedFailures = 3

    // MARK: The engine's thread

    /// Runs the engine on the calling thread until `stop`.
    package func run(_ engine: any TokenEngine) {
        var recipients: [Int: Recipient] = [:]
        var numbers: [Ticket: Int] = [:]
        publish(engine)
        while let commands = nextCommands(isIdle: engine.isIdle) {
            var news: [News] = []
            let start = ContinuousClock.now
            for command in commands {
                switch command {
                case .submit(let request, let recipient):
                    // Its client may have left while it waited here.
                    guard !recipient.mailbox.isOver else { continue }
                    do {
                        let number = try engine.submit(request)
                        recipients[number] = recipient
                        numbers[recipient.ticket] = number
                    } catch {
                        news.append(.failed(.invalid("\(error)"), recipient))
                    }
                case .cancel(let ticket):
                    guard let number = numbers.removeValue(forKey: ticket) else { continue }
                    engine.cancel(number)
                    recipients[number] = nil
                case .wake: break
                }
            }
            if !engine.isIdle {
                pulse.withLock {
                    if !$0.isBusy { ($0.isBusy, $0.progress) = (true, .now) }
                }
                let events = engine.step()
                news.reserveCapacity(news.count + events.count)
                var (hasAnswer, hasFailure) = (events.isEmpty, false)
                for event in events {
                    let number = event.request
                    guard let recipient = recipients[number] else { continue }
                    news.append(.event(event, recipient))
                    switch event {
                    case .started: break
                    case .text, .likelihood: hasAnswer = true
                    case .finished:
                        hasAnswer = true
                        recipients[number] = nil
                        numbers[recipient.ticket] = nil
                    case .failed:
                        hasFailure = true
                        recipients[number] = nil
                        numbers[recipient.ticket] = nil
                    }
                }
                pulse.withLock {
                    $0.failures = hasFailure && !hasAnswer ? $0.failures + 1 : 0
                }
            }
            publish(engine)
            if !news.isEmpty {
                let (news, time, tokens) = (news, ContinuousClock.now, engine.load.stepTokens)
                backlog.wait()
                deliveries.async {
                    defer { self.backlog.signal() }
                    self.deliver(news, from: start, to: time)
                    self.metrics.observe(.iterationTokens, Double(tokens))
                }
            }
        }
        for (number, recipient) in recipients {
            engine.cancel(number)
            recipient.mailbox.fail(.unavailable("the server has stopped"))
        }
        publish(engine)
    }

    /// Sleeps until there is something to do.
    /// - Returns: `nil` when the engine is to stop.
    private func nextCommands(isIdle: Bool) -> [Command]? {
        while true {
            let (commands, isStopping) = inbox.withLock { inbox in
                defer { inbox.commands = [] }
                if inbox.commands.isEmpty, isIdle, !inbox.isStopping { inbox.isAsleep = true }
                return (inbox.commands, inbox.isStopping)
            }
            if isStopping {
                for case .submit(_, let recipient) in commands {
                    recipient.mailbox.fail(.unavailable("the server has stopped"))
                }
                return nil
            }
            if !commands.isEmpty || !isIdle { return commands }
            bell.wait()
        }
    }

    private func publish(_ engine: any TokenEngine) {
        let load = engine.load
        let isBusy = !engine.isIdle
        pulse.withLock {
            $0.load = load
            $0.isBusy = isBusy
            $0.progress = .now
        }
    }

    // MARK: Deliveries

    /// - Parameters:
    ///   - start: of the step.
    ///   - time: its end.
    private func deliver(
        _ news: [News], from start: ContinuousClock.Instant, to time: ContinuousClock.Instant
    ) {
        for item in news {
            switch item {
            case .failed(let error, let recipient):
                recipient.mailbox.fail(error)
            case .event(.failed(_, let message), let recipient):
                recipient.mailbox.fail(.engine(message))
            case .event(.started, let recipient):
                recipient.timeline.start(recipient.choice, at: start, metrics)
            case .event(.text(_, let text, let tokens), let recipient):
                recipient.timeline.observe(tokens, choice: recipient.choice, at: time, metrics)
                put(recipient) { $0.add(text, tokens: tokens) }
            case .event(.likelihood(_, let likelihood), let recipient):
                put(recipient) { $0.add(likelihood) }
            case .event(.finished(_, let reason, let tokens), let recipient):
                recipient.timeline.observe(tokens, choice: recipient.choice, at: time, metrics)
                put(recipient) { $0.finish(reason, tokens: tokens) }
            }
        }
    }

    private func put(_ recipient: Recipient, _ change: (inout Mailbox.Delivery) -> Int) {
        guard !recipient.mailbox.put(recipient.choice, change) else { return }
        recipient.mailbox.fail(.slowReader)
        cancel([recipient.ticket])
    }
}
