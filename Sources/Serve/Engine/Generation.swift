import Synchronization

/// One HTTP request's answers in the making. When nobody holds it any more, what still runs of it is ended.
final class Generation: Sendable {
    let mailbox: Mailbox
    let timeline: RequestTimeline
    private let service: EngineService
    private let metrics: Metrics
    private let tickets: [EngineService.Ticket]
    private let permits: [Admission.Permit]
    /// Choices that have not ended yet, and why the rest will not.
    private let open: Mutex<(count: Int, isAborted: Bool)>

    init(
        _ request: GenerationRequest, _ service: EngineService, _ metrics: Metrics,
        timeline: RequestTimeline, permits: [Admission.Permit]
    ) {
        (self.service, self.metrics) = (service, metrics)
        (self.timeline, self.permits) = (timeline, permits)
        let mailbox = Mailbox(choices: request.choices.count)
        self.mailbox = mailbox
        open = Mutex((request.choices.count, false))
        metrics.add(promptTokens: request.promptTokens)
        metrics.observe(.promptTokens, Double(request.promptTokens))
        metrics.observe(.choices, Double(request.choicesPerPrompt))
        metrics.observe(.maxTokens, Double(request.choices[0].maxTokens))
        tickets = request.choices.enumerated().map { index, choice in
            service.submit(choice, choice: index, timeline: timeline, to: mailbox)
        }
    }

    deinit {
        let (count, isAborted) = open.withLock { $0 }
        if count > 0 {
            mailbox.fail(.disconnected)
            service.cancel(tickets)
            for _ in 0..<count { metrics.count(isAborted ? .abort : .error) }
        }
        timeline.finish(metrics)
    }

    /// What has come; empty when all has.
    func next() async throws(APIError) -> [Mailbox.Delivery] {
        let pieces: [Mailbox.Delivery]
        do {
            pieces = try await mailbox.next()
        } catch {
            if error.isAbort { open.withLock { $0.isAborted = true } }
            throw error
        }
        for piece in pieces {
            guard let end = piece.end else { continue }
            metrics.count(end == .stop ? .stop : .length)
            open.withLock { $0.count -= 1 }
        }
        return pieces
    }

    /// Ends what still runs, at once: blocks are free for the step after the current one.
    func abort(_ error: APIError) {
        open.withLock { $0.isAborted = true }
        guard mailbox.fail(error) else { return }
        service.cancel(tickets)
    }
}
