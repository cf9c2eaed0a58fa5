import Dispatch
import Synchronization

/// Compares a sample of finished answers with what another model would have said: off the way of requests, with a bounded
/// memory of what is left to compare. What does not fit is dropped, and counted.
package final class Shadow: Sendable {
    /// What a comparison came to.
    package struct Score: Sendable, Equatable {
        /// Tokens of the answer.
        package let tokens: Int
        /// Of them, where both models find the same token likeliest.
        package let agreements: Int
        /// Sum over them of KL(other ‖ served), nats.
        package let divergence: Double

        package init(tokens: Int, agreements: Int, divergence: Double) {
            (self.tokens, self.agreements, self.divergence) = (tokens, agreements, divergence)
        }
    }

    package struct Counts: Sendable, Equatable {
        package var scored = 0
        package var dropped = 0
        package var failed = 0
        package var tokens = 0
        package var agreements = 0
        package var divergence = 0.0
    }

    package struct Sample: Sendable {
        package let prompt: [Int]
        package let answer: [Int]
    }

    private struct State {
        var samples: [Sample] = []
        var counts = Counts()
        var isStopping = false
    }

    private let fraction: Double
    private let capacity: Int
    private let longest: Int
    private let state = Mutex(State())
    private let bell = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - fraction: of the answers, from 0 to 1.
    ///   - capacity: answers that wait to be compared.
    ///   - longest: tokens of prompt and answer of one that is compared.
    package init(fraction: Double, capacity: Int = 16, longest: Int = 4_096) {
        (self.fraction, self.capacity, self.longest) = (fraction, capacity, longest)
    }

    package var counts: Counts { state.withLock { $0.counts } }

    /// Leaves a finished answer, perhaps. Returns at once.
    package func offer(prompt: [Int], answer: [Int]) {
        guard !answer.isEmpty, .random(in: 0..<1) < fraction else { return }
        let isKept = state.withLock { state in
            guard state.samples.count < capacity, prompt.count + answer.count <= longest else {
                state.counts.dropped += 1
                return false
            }
            state.samples.append(Sample(prompt: prompt, answer: answer))
            return true
        }
        if isKept { bell.signal() }
    }

    /// Compares what comes, on the calling thread, until `stop`.
    package func run(_ score: (Sample) throws -> Score) {
        while true {
            bell.wait()
            let (sample, isStopping) = state.withLock { state in
                (state.samples.isEmpty ? nil : state.samples.removeFirst(), state.isStopping)
            }
            if isStopping { return }
            guard let sample else { continue }
            let result = Result { try score(sample) }
            state.withLock { state in
                switch result {
                case .success(let score):
                    state.counts.scored += 1
                    state.counts.tokens += score.tokens
                    state.counts.agreements += score.agreements
                    state.counts.divergence += score.divergence
                case .failure: state.counts.failed += 1
                }
            }
        }
    }

    /// Ends `run` behind the comparison that it is at.
    package func stop() {
        state.withLock { $0.isStopping = true }
        bell.signal()
    }
}
