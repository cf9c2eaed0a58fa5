import Synchronization

/// A model that the server can answer with.
package enum ModelChoice: String, Sendable, CaseIterable { case compressed, dense }

/// Which of two models answers, which one shall, and what came of it: where the HTTP side and the engine's thread meet.
package final class ModelExchange: Sendable {
    package struct State: Sendable, Equatable {
        /// New requests go to it.
        package var active = ModelChoice.compressed
        /// What is being changed to.
        package var target: ModelChoice?
        /// Changes that came about, and such that failed.
        package var changes = 0
        package var failures = 0
        /// Why the last one failed.
        package var fault: String?
    }

    private let state = Mutex(State())
    private let bell = Mutex<(@Sendable () -> Void)?>(nil)

    package init() {}

    package var now: State { state.withLock { $0 } }

    /// Has `body` called when there is something for the engine's thread to do.
    func onRequest(_ body: @escaping @Sendable () -> Void) { bell.withLock { $0 = body } }

    /// Asks for a model and waits until it answers new requests.
    /// - Parameter patience: how long; the change goes on behind it.
    func use(_ choice: ModelChoice, patience: Duration) async throws(APIError) {
        let asked: Result<Int, APIError> = state.withLock { state in
            if let target = state.target, target != choice {
                return .failure(.exchanging(to: target))
            }
            if state.target == nil, state.active != choice {
                (state.target, state.fault) = (choice, nil)
            }
            return .success(state.failures)
        }
        let failures = try asked.get()
        bell.withLock { $0 }?()
        let end = ContinuousClock.now + patience
        while true {
            let state = now
            if state.failures > failures {
                throw .engine("\(choice.rawValue) cannot be loaded: \(state.fault ?? "")")
            }
            if state.target == nil {
                guard state.active == choice else { throw .exchanging(to: state.active) }
                return
            }
            guard .now < end else { throw .exchangeTimeout(choice) }
            do {
                try await Task.sleep(for: .milliseconds(10))
            } catch {
                throw .disconnected
            }
        }
    }

    // MARK: The engine's thread

    func complete() {
        state.withLock {
            if let target = $0.target { $0.active = target }
            ($0.target, $0.changes) = (nil, $0.changes + 1)
        }
    }

    func fail(_ fault: String) {
        state.withLock { ($0.target, $0.failures, $0.fault) = (nil, $0.failures + 1, fault) }
    }
}

extension APIError {
    static let noFallback = APIError.notFound(
        "This server has one model only: `minima serve --fallback-dense` gives it another.",
        code: "no_fallback")

    static func exchanging(to choice: ModelChoice) -> APIError {
        APIError(
            status: 409, type: "invalid_request_error",
            message: "The server is changing to the \(choice.rawValue) model; try again later.",
            code: "change_in_progress", retryAfter: 5)
    }

    static func exchangeTimeout(_ choice: ModelChoice) -> APIError {
        APIError(
            status: 504, type: "timeout_error",
            message:
                "The \(choice.rawValue) model is still being loaded; /health says when it answers.",
            code: "deadline_exceeded")
    }
}
