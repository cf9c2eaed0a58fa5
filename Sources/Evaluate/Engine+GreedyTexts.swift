import Generate

extension Engine {
    /// Writes `tokens` tokens behind each prompt, side by side: the likeliest each, and no end before.
    /// - Parameter behindEachStep: what is looked at then.
    /// - Returns: the texts, and the tokens per second of all together from when each has its first.
    func greedyTexts(
        behind prompts: [[Int]], tokens: Int, behindEachStep: () throws -> Void = {}
    ) throws -> (texts: [[Int]], tokensPerSecond: Double) {
        var options = Generator.Options()
        options.maxTokens = tokens
        options.endsAtEndOfText = false
        let ids = try prompts.map { try submit($0, options) }
        /// Tokens that requests have, where all have one at least.
        func written(_ results: [RequestID: Generator.Result]) -> Int? {
            var sum = 0
            for (id, prompt) in zip(ids, prompts) {
                let tokens =
                    results[id]?.tokens.count
                    ?? scheduler.tokens(of: id).map { $0.count - prompt.count } ?? 0
                guard tokens > 0 else { return nil }
                sum += tokens
            }
            return sum
        }
        var begun: (tokens: Int, time: ContinuousClock.Instant)?
        let results = try run { results in
            try behindEachStep()
            if begun == nil, let tokens = written(results) { begun = (tokens, .now) }
        }
        let texts = ids.map { results[$0]?.tokens ?? [] }
        guard let begun else { preconditionFailure("texts that ended have begun") }
        let seconds = (ContinuousClock.now - begun.time) / .seconds(1)
        let behind = texts.reduce(0) { $0 + $1.count } - begun.tokens
        return (texts, Double(behind) / seconds)
    }
}
