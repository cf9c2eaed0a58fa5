/// Guesses what follows, so that one step of the model can check several tokens. Guesses change how long text takes, never
/// what it says.
package protocol Drafter: AnyObject {
    /// Tokens that it guesses at once at most.
    var limit: Int { get }

    /// Learns what a step computed and what came of it, and guesses on.
    /// - Parameters:
    ///   - step: the one that was computed last.
    ///   - turns: its requests that go on, in the order of the step's items.
    /// - Returns: what may follow, at most `wanted` tokens of each turn.
    func draft(behind step: Scheduler.Step, _ turns: [DraftTurn]) throws -> [RequestID: [Int32]]

    /// Copies states of requests that give their blocks back, and of those that get blocks again, as the target's are copied.
    /// Comes before anything of the step is drafted behind.
    func transfer(for step: Scheduler.Step) throws

    /// Forgets a request.
    func end(_ request: RequestID)
}

extension Drafter {
    package func transfer(for step: Scheduler.Step) throws {}
}

/// What a step brought for one request.
package struct DraftTurn {
    package let request: RequestID
    /// Of the request's item in the step.
    package let item: Int
    /// Tokens of the item that stand: all but the wrong ones of its draft.
    package let kept: Int
    /// The whole text, the token that was predicted last included.
    package let tokens: [Int32]
    /// Blocks of all positions that are computed, and of some ahead.
    package let blocks: [BlockPool.Block]
    /// How many tokens are wanted; 0 where the prompt is not read yet.
    package let wanted: Int
    /// How each of those is going to be chosen; `nil` where that is the host's alone.
    package let choices: [TokenChoice?]

    package init(
        request: RequestID, item: Int, kept: Int, tokens: [Int32], blocks: [BlockPool.Block],
        wanted: Int, choices: [TokenChoice?]
    ) {
        (self.request, self.item, self.kept) = (request, item, kept)
        (self.tokens, self.blocks) = (tokens, blocks)
        (self.wanted, self.choices) = (wanted, choices)
    }
}

/// What became of drafts.
package struct DraftCounts: Hashable, Sendable {
    /// Steps in which a request brought a draft.
    package internal(set) var drafts = 0
    package internal(set) var drafted = 0
    package internal(set) var accepted = 0
    /// Drafts that were as long, and those that were right so far, by position.
    package internal(set) var draftedAt: [Int] = []
    package internal(set) var acceptedAt: [Int] = []

    package init() {}

    /// Tokens that a step with a draft brings, on average: those accepted and the one behind them.
    package var acceptanceLength: Double {
        drafts == 0 ? 1 : 1 + Double(accepted) / Double(drafts)
    }

    /// - Parameters:
    ///   - drafted: tokens of one draft.
    ///   - accepted: of those, from the first on.
    mutating func count(drafted: Int, accepted: Int) {
        drafts += 1
        self.drafted += drafted
        self.accepted += accepted
        while draftedAt.count < drafted {
            draftedAt.append(0)
            acceptedAt.append(0)
        }
        for place in 0..<drafted { draftedAt[place] += 1 }
        for place in 0..<accepted { acceptedAt[place] += 1 }
    }
}
