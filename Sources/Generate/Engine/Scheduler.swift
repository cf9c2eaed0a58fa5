// Which tokens of which requests go through the model in the next step. Pure: it knows no tensor and no clock, so that
// everything it promises is tested with arithmetic alone.
//
// Every step takes one token of each request that decodes, and fills what is left of the step's tokens with pieces of
// prompts (continuous batching, Orca, Yu et al. 2022; chunked prefill, Sarathi-Serve, arXiv 2403.02310). Requests are
// admitted in the order of their arrival and, when blocks run out, put back in the opposite order: their tokens are kept,
// their blocks are not, and what is still cached of them is found again. Where the host has room for them (`spill`), their
// states are copied there first, and come back by a copy instead of being computed again.
//
// A request that decodes may bring a draft of its next tokens (speculative decoding, Leviathan et al. 2023, arXiv
// 2211.17192): as many of them as tokens and blocks are left for go through the model with its own, and as many as were right
// are kept. A draft gets what is left when everything else has its place in the step.

/// Requests that wait and that run, and the blocks they hold.
package struct Scheduler {
    private struct Request {
        let id: RequestID
        /// Prompt and what was generated.
        var tokens: [Int32]
        /// Tokens at which it ends.
        let limit: Int
        /// Those whose states are in the blocks.
        var computed = 0
        var blocks: [BlockPool.Block] = []
        /// Tokens of its prompt, from the first, whose probabilities are wanted: all or none.
        let scorable: Int
        /// Likeliest tokens that are listed beside each.
        let top: Int
        /// Positions behind which everything that is wanted was computed.
        var scored = 0
        /// Of the computed ones, those that the pool was told of.
        var remembered = 0
        /// While it waits: places on the host, and tokens whose states they hold.
        var spilled: [Int] = []
        var spilledTokens = 0

        var remaining: Int { tokens.count - computed }
        /// Tokens whose states may be taken from elsewhere: its last must be computed for its prediction, known or not,
        /// and those of a prompt once for the probabilities of what stands behind them.
        var reusable: Int { isScored ? tokens.count - 1 : scored }
        var isScored: Bool { scored >= scorable - 1 }

        init(id: RequestID, tokens: [Int32], limit: Int, scoring top: Int?) {
            (self.id, self.tokens, self.limit) = (id, tokens, limit)
            (scorable, self.top) = (top == nil ? 0 : tokens.count, top ?? 0)
        }
    }

    package let limits: Limits
    package private(set) var pool: BlockPool
    package private(set) var counts = Counts()
    /// In the order of arrival, those that were put back in front.
    private var waiting: [Request] = []
    /// In the order of admission.
    private var running: [Request] = []
    /// Of the step that is being computed.
    private var underway: [RequestID: Item] = [:]
    /// Copies of that step, which are not there before it was computed: requests whose blocks are saved, and what those whose
    /// blocks are restored had of their own.
    private var saving: [RequestID: [Transfer]] = [:]
    private var restoring: [RequestID: (transfers: [Transfer], found: Int)] = [:]
    /// Places on the host that hold nothing.
    private var freePlaces: [Int]

    /// - Parameter spill: blocks that the host has room for.
    package init(blocks: Int, blockTokens: Int, limits: Limits, spill: Int = 0) {
        freePlaces = Array((0..<spill).reversed())
        precondition(
            limits.requests > 0 && limits.stepTokens >= limits.requests && limits.promptTokens > 0,
            "a step has room for a token of every request")
        self.limits = limits
        pool = BlockPool(count: blocks, blockTokens: blockTokens)
    }

    /// Places on the host that hold nothing.
    var freePlacesCount: Int { freePlaces.count }
    package var waitingCount: Int { waiting.count }
    package var runningCount: Int { running.count }
    package var isIdle: Bool { waiting.isEmpty && running.isEmpty }

    // MARK: Requests

    /// - Parameters:
    ///   - prompt: not empty.
    ///   - generated: tokens to add to it at most.
    ///   - top: how likely the prompt's tokens were is wanted, and so many of the likeliest beside each; `nil`: it is not.
    package mutating func add(
        _ id: RequestID, prompt: [Int32], generated: Int, scoring top: Int? = nil
    ) throws(SchedulerError) {
        precondition(!prompt.isEmpty && generated > 0, "checked by who takes requests")
        guard !waiting.contains(where: { $0.id == id }), !running.contains(where: { $0.id == id })
        else { throw .known(id) }
        // The last token is never computed with.
        let blocks = blocks(for: prompt.count + generated - 1)
        guard blocks <= pool.count else {
            throw .neverFits(
                tokens: prompt.count + generated, blocks: blocks, available: pool.count,
                blockTokens: pool.blockTokens)
        }
        guard waiting.count < limits.waiting else { throw .full(limits.waiting) }
        waiting.append(
            Request(id: id, tokens: prompt, limit: prompt.count + generated, scoring: top))
    }

    /// Ends a request, whatever it is doing; its blocks are free for the next step. No fault if it is not there.
    package mutating func remove(_ id: RequestID) {
        for request in waiting where request.id == id { freePlaces += request.spilled }
        waiting.removeAll { $0.id == id }
        underway[id] = nil
        if let index = running.firstIndex(where: { $0.id == id }) {
            pool.release(running.remove(at: index).blocks)
        }
    }

    // MARK: Steps

    /// What to compute next; `nil` where there is nothing. Call `finish` before the next one.
    /// - Parameter drafts: what may follow the tokens of some requests.
    package mutating func next(drafts: [RequestID: [Int32]] = [:]) -> Step? {
        precondition(underway.isEmpty, "one step at a time")
        var (items, preempted) = ([Item](), [RequestID]())
        var budget: Int { limits.stepTokens - items.reduce(0) { $0 + $1.tokens.count } }
        // Those that have one token to compute come first: nobody's next token waits for another's prompt.
        let decoding = running.filter { $0.remaining == 1 }.map(\.id)
        let reading = running.filter { $0.remaining > 1 }.map(\.id)
        for id in decoding + reading where budget > 0 {
            guard let index = running.firstIndex(where: { $0.id == id }) else { continue }
            let count = share(
                of: running[index], budget, isAlone: running.count == 1 && waiting.isEmpty)
            guard makeRoom(for: id, count, &preempted, &items) else { continue }
            schedule(id, count, into: &items)
        }
        // Nobody is admitted while blocks are so few that one had to be taken back.
        if preempted.isEmpty {
            while budget > 0, running.count < limits.requests, !waiting.isEmpty {
                let isAlone = running.isEmpty && waiting.count == 1
                guard let id = admit(budget, isAlone: isAlone) else { break }
                guard let request = running.last else { break }
                schedule(id, share(of: request, budget, isAlone: isAlone), into: &items)
            }
        }
        if preempted.isEmpty { addDrafts(drafts, budget, to: &items) }
        guard !items.isEmpty else {
            precondition(isIdle, "every request that was accepted can be computed alone")
            return nil
        }
        for item in items { underway[item.request] = item }
        func transfers(_ lists: some Sequence<[Transfer]>) -> [Transfer] {
            lists.joined().sorted { $0.block < $1.block }
        }
        return Step(
            items: items, preempted: preempted, saved: transfers(saving.values),
            restored: transfers(restoring.values.map(\.transfers)))
    }

    /// Says that the step was computed.
    /// - Parameter predicted: the next tokens of every request whose item predicted some: those of its draft that were
    ///   right, and one behind them.
    /// - Returns: requests that have all the tokens they may have; they are removed.
    package mutating func finish(_ predicted: [RequestID: [Int32]]) -> [RequestID] {
        var done: [RequestID] = []
        for (id, item) in underway.sorted(by: { $0.key < $1.key }) {
            guard let index = running.firstIndex(where: { $0.id == id }) else { continue }
            let tokens = predicted[id] ?? []
            precondition(tokens.count <= item.predictedRows, "a token for each prediction at most")
            precondition(
                item.draft.starts(with: tokens.dropLast()), "what is kept of a draft was right")
            running[index].tokens += tokens
            // States of drafted tokens that were wrong are written again.
            running[index].computed = item.end - item.drafted + max(0, tokens.count - 1)
            running[index].scored = max(running[index].scored, item.end)
            rememberBlocks(of: index)
            guard !tokens.isEmpty else { continue }
            precondition(
                running[index].remaining == 1, "a token is predicted when all before it are known")
            if running[index].tokens.count >= running[index].limit { done.append(id) }
        }
        endStep()
        done.forEach { remove($0) }
        return done
    }

    /// Says that the step failed: nothing of it is kept. Its requests are still there; remove those that cannot go on.
    package mutating func abandon() {
        for index in waiting.indices where saving[waiting[index].id] != nil {
            freePlaces += waiting[index].spilled
            (waiting[index].spilled, waiting[index].spilledTokens) = ([], 0)
        }
        for index in running.indices {
            guard let restored = restoring[running[index].id] else { continue }
            running[index].computed = restored.found
        }
        endStep()
    }

    private mutating func endStep() { (underway, saving, restoring) = ([:], [:], [:]) }

    /// Tokens of a request that runs, prompt and what was generated; `nil` where it does not.
    package func tokens(of id: RequestID) -> [Int32]? { running.first { $0.id == id }?.tokens }

    /// Tokens whose states are in the blocks of a request that runs, and the blocks.
    package func states(of id: RequestID) -> (computed: Int, blocks: [BlockPool.Block])? {
        running.first { $0.id == id }.map { ($0.computed, $0.blocks) }
    }

    /// Takes the blocks of tokens that a request is going to have, if nobody else has to give way, so that a draft model has
    /// where to keep its states.
    /// - Parameter count: of tokens behind those that are computed.
    package mutating func reserve(_ count: Int, for id: RequestID) {
        guard let index = running.firstIndex(where: { $0.id == id }) else { return }
        // The last token that it may have is never computed with.
        let most = running[index].limit - 1 - running[index].computed
        _ = grow(index, by: max(0, min(count, most)))
    }

    /// Lengthens items by what their requests have drafted, as far as tokens and blocks are left.
    private mutating func addDrafts(
        _ drafts: [RequestID: [Int32]], _ budget: Int, to items: inout [Item]
    ) {
        var budget = budget
        for place in items.indices {
            let item = items[place]
            guard item.predicts, item.tokens.count == 1, let draft = drafts[item.request],
                let index = running.firstIndex(where: { $0.id == item.request })
            else { continue }
            // The last token that it may have is never computed with.
            let room = running[index].limit - running[index].tokens.count - 1
            let count = min(draft.count, room, budget)
            guard count > 0, grow(index, by: 1 + count) else { continue }
            budget -= count
            items[place] = Item(
                request: item.request, tokens: item.tokens + draft.prefix(count),
                start: item.start,
                blocks: Array(running[index].blocks.prefix(blocks(for: item.end + count))),
                predicts: true, drafted: count)
        }
    }

    // MARK: Blocks

    private func blocks(for tokens: Int) -> Int {
        (tokens + pool.blockTokens - 1) / pool.blockTokens
    }

    private func share(of request: Request, _ budget: Int, isAlone: Bool) -> Int {
        min(request.remaining, budget, isAlone ? budget : limits.promptTokens)
    }

    /// Takes the blocks that `count` more tokens need, from the request admitted last if there are none.
    /// - Returns: `false` where the request itself had to give way.
    private mutating func makeRoom(
        for id: RequestID, _ count: Int, _ preempted: inout [RequestID], _ items: inout [Item]
    ) -> Bool {
        while let index = running.firstIndex(where: { $0.id == id }) {
            if grow(index, by: count) { return true }
            guard let victim = running.indices.last else { return false }
            let request = running.remove(at: victim)
            items.removeAll { $0.request == request.id }
            preempted.append(request.id)
            putBack(request)
        }
        return false
    }

    private mutating func grow(_ index: Int, by count: Int) -> Bool {
        let missing = blocks(for: running[index].computed + count) - running[index].blocks.count
        guard missing <= pool.available else { return false }
        for _ in 0..<max(0, missing) {
            guard let block = pool.take() else { preconditionFailure("there are enough") }
            running[index].blocks.append(block)
        }
        return true
    }

    private mutating func putBack(_ request: Request) {
        var request = request
        spill(&request)
        pool.release(request.blocks)
        (request.blocks, request.computed, request.remembered) = ([], 0, 0)
        waiting.insert(request, at: 0)
        counts.preemptions += 1
    }

    /// Gives the beginning of a request's states places on the host, as far as there are any. Copying a block there and back
    /// takes a small part of what computing its tokens does, on every machine that holds the model.
    private mutating func spill(_ request: inout Request) {
        // Its last token must be computed for its prediction, known or not.
        let tokens = min(request.computed, request.tokens.count - 1)
        let count = min(blocks(for: tokens), freePlaces.count)
        guard count > 0 else { return }
        request.spilled = (0..<count).map { _ in freePlaces.removeLast() }
        request.spilledTokens = min(tokens, count * pool.blockTokens)
        saving[request.id] = zip(request.blocks, request.spilled).map {
            Transfer(block: $0, place: $1)
        }
    }

    /// Lets the first of those that wait in, if the blocks of its next piece are there.
    private mutating func admit(_ budget: Int, isAlone: Bool) -> RequestID? {
        var request = waiting[0]
        request.blocks = pool.reuse(request.tokens, limit: request.reusable)
        let found = request.blocks.count
        request.remembered = found * pool.blockTokens
        request.computed = max(request.remembered, request.spilledTokens)
        let count = share(of: request, budget, isAlone: isAlone)
        let missing = blocks(for: request.computed + count) - request.blocks.count
        // A block for each that runs, so that it is not put back at the next step.
        guard missing + (running.isEmpty ? 0 : running.count) <= pool.available else {
            pool.release(request.blocks)
            return nil
        }
        counts.cacheQueries += request.isScored ? request.tokens.count : request.scored
        counts.cacheHits += request.remembered
        waiting.removeFirst()
        running.append(request)
        let grown = grow(running.count - 1, by: count)
        precondition(grown, "the blocks were counted")
        restore(running.count - 1, behind: found)
        return request.id
    }

    /// Has the states of a request that was let in copied back, but for those that the cache still has.
    private mutating func restore(_ index: Int, behind found: Int) {
        let request = running[index]
        if request.computed > request.remembered {
            let transfers = zip(request.blocks, request.spilled).dropFirst(found).map {
                Transfer(block: $0, place: $1)
            }
            restoring[request.id] = (Array(transfers), request.remembered)
            counts.restoredTokens += request.computed - request.remembered
        }
        // Who gets these places next writes them in a later step.
        freePlaces += request.spilled
        (running[index].spilled, running[index].spilledTokens) = ([], 0)
    }

    private func schedule(_ id: RequestID, _ count: Int, into items: inout [Item]) {
        guard let request = running.first(where: { $0.id == id }) else { return }
        let end = request.computed + count
        let first = max(request.computed, request.scored)
        let targets = request.tokens.prefix(min(end + 1, request.scorable)).dropFirst(first + 1)
        items.append(
            Item(
                request: id, tokens: Array(request.tokens[request.computed..<end]),
                start: request.computed, blocks: Array(request.blocks.prefix(blocks(for: end))),
                predicts: end == request.tokens.count,
                scoring: targets.isEmpty
                    ? nil
                    : Scoring(
                        first: first - request.computed, targets: Array(targets), top: request.top)
            ))
    }

    private mutating func rememberBlocks(of index: Int) {
        let size = pool.blockTokens
        let request = running[index]
        running[index].remembered = request.computed
        for block in request.remembered / size..<request.computed / size {
            pool.fill(
                request.blocks[block],
                with: Array(request.tokens[block * size..<(block + 1) * size]),
                behind: block == 0 ? nil : request.blocks[block - 1])
        }
    }
}
