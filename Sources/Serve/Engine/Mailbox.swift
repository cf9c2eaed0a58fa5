import Synchronization

/// Where one HTTP request finds what the engine has for it. Pieces that nobody has taken yet are joined, so that a slow
/// reader costs memory for its text alone; and no more than a bound even of that.
package final class Mailbox: Sendable {
    /// News of one of the request's choices.
    package struct Delivery: Sendable {
        package let choice: Int
        package fileprivate(set) var text = ""
        /// That the choice has by now.
        package fileprivate(set) var tokens = 0
        package fileprivate(set) var likelihoods: [TokenLikelihood] = []
        package fileprivate(set) var end: FinishReason?
    }

    private struct State {
        var pending: [Delivery] = []
        var bytes = 0
        var open: Int
        var fault: APIError?
        var waiter: CheckedContinuation<Void, Never>?
    }

    /// Bytes that may wait for the reader.
    package static let capacity = 4 << 20

    private let state: Mutex<State>

    package init(choices: Int) { state = Mutex(State(open: choices)) }

    /// Whether all choices have ended, or the request has failed.
    package var isOver: Bool { state.withLock { $0.open == 0 || $0.fault != nil } }

    /// - Returns: `false` where more waits than may.
    func put(_ choice: Int, _ change: (inout Delivery) -> Int) -> Bool {
        let (waiter, fits) = state.withLock { state in
            guard state.fault == nil else {
                return (nil as CheckedContinuation<Void, Never>?, true)
            }
            let place =
                state.pending.lastIndex { $0.choice == choice }
                ?? {
                    state.pending.append(Delivery(choice: choice))
                    return state.pending.count - 1
                }()
            state.bytes += change(&state.pending[place])
            if state.pending[place].end != nil { state.open -= 1 }
            defer { state.waiter = nil }
            return (state.waiter, state.bytes <= Self.capacity)
        }
        waiter?.resume()
        return fits
    }

    /// Ends the request with an error, unless it has ended.
    /// - Returns: whether it was this call that ended it.
    @discardableResult
    package func fail(_ error: APIError) -> Bool {
        let (waiter, isFirst) = state.withLock { state in
            guard state.fault == nil, state.open > 0 else {
                return (nil as CheckedContinuation<Void, Never>?, false)
            }
            state.fault = error
            state.pending = []
            defer { state.waiter = nil }
            return (state.waiter, true)
        }
        waiter?.resume()
        return isFirst
    }

    /// Waits for news. One task reads a mailbox.
    /// - Returns: what has come since the last call; empty when all choices have ended.
    package func next() async throws(APIError) -> [Delivery] {
        while true {
            let (pending, fault, isOver) = state.withLock { state in
                defer { (state.pending, state.bytes) = ([], 0) }
                return (state.pending, state.fault, state.open == 0)
            }
            if let fault { throw fault }
            if !pending.isEmpty || isOver { return pending }
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    guard state.pending.isEmpty, state.fault == nil, state.open > 0 else {
                        return true
                    }
                    state.waiter = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        }
    }
}

extension Mailbox.Delivery {
    /// Of a choice for which nothing is to be computed.
    static func ended(_ choice: Int) -> Self {
        var delivery = Self(choice: choice)
        delivery.end = .length
        return delivery
    }

    mutating func add(_ piece: String, tokens: Int) -> Int {
        text += piece
        self.tokens = tokens
        return piece.utf8.count
    }

    mutating func add(_ likelihood: TokenLikelihood) -> Int {
        likelihoods.append(likelihood)
        // As it will stand in JSON, about.
        return 100 * (1 + likelihood.top.count)
    }

    mutating func finish(_ reason: FinishReason, tokens: Int) -> Int {
        self.tokens = tokens
        end = reason
        return 0
    }
}
