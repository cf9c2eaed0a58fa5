import Synchronization

/// How many answers are under way, and whether more may come. Asked before a request's body is read.
package final class Admission: Sendable {
    private struct State {
        var held = 0
        var isDraining = false
        /// Of a request, a moving mean.
        var seconds = 1.0
    }

    /// Answers that run and wait at once, and how many of them run.
    package let capacity: Int
    private let concurrency: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - concurrency: answers that run at once.
    ///   - queue: answers that wait.
    package init(concurrency: Int, queue: Int) {
        self.concurrency = concurrency
        capacity = concurrency + queue
    }

    /// A place for some answers; it is given back when nobody holds it any more.
    package final class Permit: Sendable {
        private let admission: Admission
        private let count: Int
        private let start = ContinuousClock.now

        fileprivate init(_ admission: Admission, _ count: Int) {
            (self.admission, self.count) = (admission, count)
        }

        deinit { admission.release(count, after: (.now - start).seconds) }
    }

    package func take(_ count: Int) throws(APIError) -> Permit {
        let refusal: APIError? = state.withLock { state in
            if state.isDraining { return .unavailable("The server is shutting down.") }
            guard state.held + count <= capacity else {
                let wait = state.seconds * Double(state.held) / Double(concurrency)
                return .full(retryAfter: Int(min(60, max(1, wait.rounded(.up)))))
            }
            state.held += count
            return nil
        }
        if let refusal { throw refusal }
        return Permit(self, count)
    }

    /// From now on nobody is let in.
    package func drain() { state.withLock { $0.isDraining = true } }

    package var isDraining: Bool { state.withLock { $0.isDraining } }
    package var held: Int { state.withLock { $0.held } }

    private func release(_ count: Int, after seconds: Double) {
        state.withLock {
            $0.held -= count
            $0.seconds += (seconds - $0.seconds) / 16
        }
    }
}
