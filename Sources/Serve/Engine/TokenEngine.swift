// What the server asks of an engine. The engine computes with tensors and belongs to one thread; the server knows neither.
import Text

/// How a token is chosen; what the fields mean is OpenAI's and vLLM's.
package struct SamplingParameters: Sendable, Equatable {
    package var temperature = 1.0
    package var topP = 1.0
    /// `nil` keeps all.
    package var topK: Int?
    package var minP = 0.0
    package var presencePenalty = 0.0
    package var frequencyPenalty = 0.0
    package var repetitionPenalty = 1.0
    package var bias: [Int: Double] = [:]
    /// Likeliest tokens that are reported with each token; `nil` reports nothing.
    package var logprobs: Int?
    package var seed: UInt64 = 0

    package init() {}
}

/// One answer that is wanted.
package struct EngineRequest: Sendable {
    /// Token ids, of the vocabulary, and fewer than the context has.
    package var prompt: [Int]
    package var sampling = SamplingParameters()
    /// 0 only where the prompt is scored.
    package var maxTokens: Int
    /// Whether how likely the prompt's tokens were is reported too, from the second on.
    package var scoresPrompt = false
    package var stops: [String] = []
    package var stopTokens: Set<Int> = []
    package var ignoresEnd = false
    /// What the answer may consist of.
    package var constraint: (any TokenConstraint)?

    package init(prompt: [Int], maxTokens: Int) {
        (self.prompt, self.maxTokens) = (prompt, maxTokens)
    }
}

package enum FinishReason: String, Sendable, CaseIterable {
    case stop, length
}

/// How likely a token was, and which others were.
package struct TokenLikelihood: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package let token: Int
        /// Natural logarithm of the probability.
        package let logprob: Double

        package init(token: Int, logprob: Double) { (self.token, self.logprob) = (token, logprob) }
    }

    package let chosen: Entry
    /// Likeliest first.
    package let top: [Entry]

    package init(chosen: Entry, top: [Entry]) { (self.chosen, self.top) = (chosen, top) }
}

/// What became of a request in a step.
package enum EngineEvent: Sendable {
    /// It has left the queue.
    case started(Int)
    /// Text that is certain, and the tokens that the answer has so far.
    case text(Int, String, tokens: Int)
    /// Of the tokens one after the other; where the prompt is scored, of its tokens first.
    case likelihood(Int, TokenLikelihood)
    case finished(Int, FinishReason, tokens: Int)
    case failed(Int, String)

    /// The number of the request that it is about.
    var request: Int {
        switch self {
        case .started(let number), .text(let number, _, _), .likelihood(let number, _),
            .finished(let number, _, _), .failed(let number, _):
            number
        }
    }
}

/// What the engine is busy with.
package struct EngineLoad: Sendable, Equatable {
    package var running = 0
    package var waiting = 0
    package var blocksInUse = 0
    package var blocks = 1
    package var preemptions = 0
    /// Prompt tokens that were looked for in the cache, and found.
    package var prefixQueries = 0
    package var prefixHits = 0
    /// Tokens of the last step.
    package var stepTokens = 0
    /// What was guessed ahead: how often, how many tokens, how many of them were right, and how many at each position.
    package var drafts = 0
    package var draftedTokens = 0
    package var acceptedTokens = 0
    package var acceptedByPosition: [Int] = []

    package init() {}
}

/// Computes answers, step by step; called from one thread.
package protocol TokenEngine: AnyObject {
    var isIdle: Bool { get }
    var load: EngineLoad { get }

    /// - Returns: the request's number in events.
    /// - Throws: where it cannot be computed; nothing is kept of it then.
    func submit(_ request: EngineRequest) throws -> Int

    /// Forgets a request; no event of it comes any more.
    func cancel(_ id: Int)

    /// Computes one step. What fails in it is told by events.
    func step() -> [EngineEvent]
}
