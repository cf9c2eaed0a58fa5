// What goes into the scheduler and what comes out of it.

extension Scheduler {
    package struct Limits: Hashable, Sendable {
        /// Requests that run at once.
        package var requests = 64
        /// Tokens of one step.
        package var stepTokens = 2_048
        /// Tokens of one prompt in a step where others have something to do as well.
        package var promptTokens = 1_024
        /// Requests that wait; more are refused.
        package var waiting = 1_024

        package init() {}
    }

    /// Tokens of a prompt whose probabilities are wanted.
    package struct Scoring: Hashable, Sendable {
        /// The item's first row that says of one.
        package let first: Int
        /// What stands behind the rows from there on, one behind each.
        package let targets: [Int32]
        /// Likeliest tokens that are listed beside each.
        package let top: Int
    }

    /// What a step computes for one request.
    package struct Item: Hashable, Sendable {
        package let request: RequestID
        /// Tokens to go through the model, and the position of the first.
        package let tokens: [Int32]
        package let start: Int
        /// Of all positions up to the last of these.
        package let blocks: [BlockPool.Block]
        /// Whether the last token's prediction is wanted: all of the request's tokens are known to the model then.
        package let predicts: Bool
        /// How many of the tokens, the last ones, are a draft: what is predicted behind the token before them and behind
        /// each of them says how far they are right.
        package let drafted: Int
        /// How likely tokens of the prompt were is wanted too; `nil` where it is of none.
        package let scoring: Scoring?

        package init(
            request: RequestID, tokens: [Int32], start: Int, blocks: [BlockPool.Block],
            predicts: Bool, drafted: Int = 0, scoring: Scoring? = nil
        ) {
            (self.request, self.tokens, self.start) = (request, tokens, start)
            (self.blocks, self.predicts, self.drafted) = (blocks, predicts, drafted)
            self.scoring = scoring
        }

        package var end: Int { start + tokens.count }
        /// Tokens, the last ones, behind which predictions are wanted.
        package var predictedRows: Int { predicts ? drafted + 1 : 0 }
        /// Whether it is one token that decodes, and perhaps its draft: no piece of a prompt.
        package var decodes: Bool { tokens.count == drafted + 1 && scoring == nil }
        package var draft: ArraySlice<Int32> { tokens.suffix(drafted) }
        /// Tokens that say how likely those behind them were.
        package var scoredRows: Range<Int> {
            scoring.map { $0.first..<$0.first + $0.targets.count } ?? 0..<0
        }
    }

    /// A block of the cache, and the place on the host that holds its copy.
    package struct Transfer: Hashable, Sendable {
        package let block: BlockPool.Block
        package let place: Int
    }

    package struct Step: Hashable, Sendable {
        package let items: [Item]
        /// Requests that had to give their blocks back.
        package let preempted: [RequestID]
        /// Blocks to copy to the host before anything is computed, and those to copy back: never both in one step.
        package let saved: [Transfer]
        package let restored: [Transfer]

        package init(
            items: [Item], preempted: [RequestID], saved: [Transfer] = [],
            restored: [Transfer] = []
        ) {
            (self.items, self.preempted) = (items, preempted)
            (self.saved, self.restored) = (saved, restored)
        }

        package var tokens: Int { items.reduce(0) { $0 + $1.tokens.count } }
    }

    /// What happened since the scheduler was made.
    package struct Counts: Hashable, Sendable {
        package internal(set) var preemptions = 0
        /// Prompt tokens that were looked for in the cache, and found.
        package internal(set) var cacheQueries = 0
        package internal(set) var cacheHits = 0
        /// Tokens whose states came back from the host.
        package internal(set) var restoredTokens = 0
    }
}
