import Tensors
import Testing

@testable import Generate

/// A model whose state of a token is a hash of all tokens up to it, in a cache of blocks as the real one has: whatever
/// the scheduler mixes up shows in what is predicted.
private struct HashModel {
    let blockTokens: Int
    /// Of each block and place in it.
    var memory: [Int: UInt64] = [:]

    static func state(_ before: UInt64, _ token: Int32) -> UInt64 {
        var state = (before ^ UInt64(UInt32(bitPattern: token))) &* 0x9E37_79B9_7F4A_7C15
        state ^= state >> 29
        return state &* 0xBF58_476D_1CE4_E5B9
    }

    static func prediction(_ state: UInt64) -> Int32 { Int32(state % 7) }

    /// What the model says alone.
    static func answer(to prompt: [Int32], _ count: Int) -> [Int32] {
        var state = prompt.reduce(0) { Self.state($0, $1) }
        return (0..<count).map { _ in
            let token = prediction(state)
            state = Self.state(state, token)
            return token
        }
    }

    /// On the host, of each place and place in it.
    var spilled: [Int: UInt64] = [:]

    private mutating func transfer(_ step: Scheduler.Step) {
        for transfer in step.saved {
            for offset in 0..<blockTokens {
                spilled[transfer.place * blockTokens + offset] =
                    memory[transfer.block * blockTokens + offset, default: 2]
            }
        }
        for transfer in step.restored {
            for offset in 0..<blockTokens {
                memory[transfer.block * blockTokens + offset] =
                    spilled[transfer.place * blockTokens + offset, default: 3]
            }
        }
    }

    mutating func run(_ step: Scheduler.Step) -> [RequestID: [Int32]] {
        transfer(step)
        // All of a step's reads see what was written before it and by the item itself.
        var (predicted, written) = ([RequestID: [Int32]](), [Int: UInt64]())
        for item in step.items {
            func place(_ position: Int) -> Int {
                item.blocks[position / blockTokens] * blockTokens + position % blockTokens
            }
            var state = item.start == 0 ? 0 : memory[place(item.start - 1), default: 1]
            var isRight = true
            for (offset, token) in item.tokens.enumerated() {
                if offset > item.tokens.count - 1 - item.drafted {
                    isRight = isRight && predicted[item.request]?.last == token
                }
                state = Self.state(state, token)
                written[place(item.start + offset)] = state
                let isPredicted = offset >= item.tokens.count - item.predictedRows
                if isPredicted, isRight {
                    predicted[item.request, default: []].append(Self.prediction(state))
                }
            }
        }
        memory.merge(written) { $1 }
        return predicted
    }
}

@Suite("Scheduler")
struct SchedulerTests {
    private struct Wish {
        let id: RequestID
        let prompt: [Int32]
        let count: Int
        let arrival: Int
        /// Step at which it is cancelled.
        let cancelled: Int?
    }

    private func wishes(_ random: inout RandomSource, blocks: Int, blockTokens: Int) -> [Wish] {
        let most = blocks * blockTokens
        // Common beginnings, so that blocks are shared.
        let beginnings = (0..<3).map { _ in
            (0..<Int.random(in: 0...most / 2, using: &random)).map { _ in
                Int32.random(in: 0..<7, using: &random)
            }
        }
        return (0..<40).map { number in
            var prompt = beginnings[number % 3]
            prompt += (0..<Int.random(in: 1...most / 4, using: &random)).map { _ in
                Int32.random(in: 0..<7, using: &random)
            }
            let room = most - prompt.count
            return Wish(
                id: RequestID(number), prompt: prompt,
                count: Int.random(in: 1...max(1, min(room, most / 3)), using: &random),
                arrival: Int.random(in: 0..<60, using: &random),
                cancelled: Int.random(in: 0..<5, using: &random) == 0
                    ? Int.random(in: 0..<120, using: &random) : nil)
        }
    }

    /// Guesses that are right for some tokens, for requests that may run or not.
    private func drafts(
        _ random: inout RandomSource, _ wishes: [Wish], _ answers: [RequestID: [Int32]]
    ) -> [RequestID: [Int32]] {
        var drafts: [RequestID: [Int32]] = [:]
        for wish in wishes where Bool.random(using: &random) {
            let known = answers[wish.id, default: []].count
            let count = Int.random(in: 0...6, using: &random)
            var draft = Array(HashModel.answer(to: wish.prompt, known + count).suffix(count))
            if !draft.isEmpty, Bool.random(using: &random) {
                draft[Int.random(in: draft.indices, using: &random)] = 6
            }
            drafts[wish.id] = draft
        }
        return drafts
    }

    @Test(
        "whatever comes and goes, every request gets what it would get alone, drafts or not, and every block comes back",
        arguments: 0..<60, [0, 5, 100])
    func traces(seed: Int, spill: Int) throws {
        var random = RandomSource(seed: UInt64(seed))
        let blockTokens = [1, 2, 4, 8][seed % 4]
        let blocks = Int.random(in: 6...40, using: &random)
        var limits = Scheduler.Limits()
        limits.requests = Int.random(in: 1...12, using: &random)
        limits.stepTokens = limits.requests + Int.random(in: 0...24, using: &random)
        limits.promptTokens = Int.random(in: 1...16, using: &random)
        var scheduler = Scheduler(
            blocks: blocks, blockTokens: blockTokens, limits: limits, spill: spill)
        var model = HashModel(blockTokens: blockTokens)
        let wishes = wishes(&random, blocks: blocks, blockTokens: blockTokens)
        var answers: [RequestID: [Int32]] = [:]
        var done: Set<RequestID> = []
        var accepted: Set<RequestID> = []
        var (step, mostAtOnce) = (0, 0)
        while step < 60 || !scheduler.isIdle {
            for wish in wishes where wish.arrival == step {
                try scheduler.add(wish.id, prompt: wish.prompt, generated: wish.count)
                accepted.insert(wish.id)
            }
            for wish in wishes where wish.cancelled == step { scheduler.remove(wish.id) }
            let drafts = seed % 3 == 0 ? [:] : drafts(&random, wishes, answers)
            if let planned = scheduler.next(drafts: drafts) {
                #expect(planned.tokens <= limits.stepTokens)
                #expect(planned.items.count <= limits.requests)
                #expect(planned.saved.isEmpty || planned.restored.isEmpty)
                for transfers in [planned.saved, planned.restored] {
                    #expect(Set(transfers.map(\.place)).count == transfers.count)
                    #expect(transfers.allSatisfy { (0..<spill).contains($0.place) })
                }
                #expect(Set(planned.items.map(\.request)).count == planned.items.count)
                for item in planned.items {
                    #expect(item.blocks.count == (item.end + blockTokens - 1) / blockTokens)
                    #expect(Set(item.blocks).count == item.blocks.count)
                }
                // Cancelled while it is computed, or the step fails.
                for wish in wishes where wish.cancelled == step + 1 && seed % 2 == 0 {
                    scheduler.remove(wish.id)
                }
                if Int.random(in: 0..<20, using: &random) == 0 {
                    scheduler.abandon()
                } else {
                    let predicted = model.run(planned)
                    for (id, tokens) in predicted { answers[id, default: []] += tokens }
                    mostAtOnce = max(mostAtOnce, predicted.values.map(\.count).max() ?? 0)
                    done.formUnion(scheduler.finish(predicted))
                }
            } else {
                #expect(scheduler.isIdle)
            }
            step += 1
            try #require(step < 20_000, "every request comes to its end")
        }
        for wish in wishes {
            let alone = HashModel.answer(to: wish.prompt, wish.count)
            let answer = answers[wish.id, default: []]
            #expect(Array(alone.prefix(answer.count)) == answer)
            if wish.cancelled == nil {
                #expect(done.contains(wish.id) && answer.count == wish.count)
            }
        }
        if seed % 3 == 0 { #expect(mostAtOnce == 1) }
        if seed == 1 { #expect(mostAtOnce > 3, "drafts bring several tokens a step") }
        #expect(scheduler.pool.inUse == 0)
        #expect(scheduler.pool.available == blocks)
        #expect(scheduler.freePlacesCount == spill)
    }

    @Test("a request that had to give way goes on where it was, if the host has room for it")
    func spilled() throws {
        // The first comes to need a fifth block while the second has the other three, the last of them in part.
        func run(_ spill: Int) throws -> (computed: Int, counts: Scheduler.Counts) {
            var scheduler = Scheduler(blocks: 7, blockTokens: 4, limits: .init(), spill: spill)
            for (number, count, generated) in [(1, 12, 7), (2, 5, 8)] {
                try scheduler.add(
                    RequestID(number), prompt: (0..<count).map { Int32($0 + 20 * number) },
                    generated: generated)
            }
            var computed = 0
            while let step = scheduler.next() {
                computed += step.tokens
                let predicting = step.items.filter(\.predicts).map { ($0.request, [Int32(1)]) }
                _ = scheduler.finish(Dictionary(uniqueKeysWithValues: predicting))
            }
            return (computed, scheduler.counts)
        }
        let (without, with) = (try run(0), try run(3))
        #expect(without.counts.preemptions == 1 && with.counts.preemptions == 1)
        #expect(without.counts.restoredTokens == 0)
        // The second's full blocks are still in the cache. Nothing is computed twice.
        #expect(with.counts.restoredTokens == 1)
        #expect(with.computed == 18 + 12)
        #expect(without.computed == with.computed + 1)
    }

    @Test("a prompt that was read before is found in the cache, but for its last block")
    func prefix() throws {
        var scheduler = Scheduler(blocks: 16, blockTokens: 4, limits: .init())
        let prompt = (0..<12).map(Int32.init)
        try scheduler.add(RequestID(1), prompt: prompt, generated: 1)
        let read = scheduler.next()
        let first = try #require(read)
        #expect(first.tokens == 12)
        #expect(scheduler.finish([RequestID(1): [5]]) == [RequestID(1)])
        try scheduler.add(RequestID(2), prompt: prompt, generated: 1)
        let again = scheduler.next()
        let second = try #require(again)
        #expect(second.items[0].start == 8)
        #expect(Array(second.items[0].blocks.prefix(2)) == Array(first.items[0].blocks.prefix(2)))
        #expect(scheduler.counts.cacheHits == 8)
        // Another beginning finds nothing, though the blocks behind it are the same.
        _ = scheduler.finish([RequestID(2): [5]])
        try scheduler.add(RequestID(3), prompt: [9] + prompt.dropFirst(), generated: 1)
        #expect(scheduler.next()?.items[0].start == 0)
    }

    @Test("decoding does not wait for a long prompt, and a prompt alone takes the whole step")
    func chunks() throws {
        var limits = Scheduler.Limits()
        (limits.stepTokens, limits.promptTokens) = (64, 16)
        var scheduler = Scheduler(blocks: 100, blockTokens: 8, limits: limits)
        try scheduler.add(RequestID(1), prompt: [1, 2], generated: 50)
        _ = scheduler.next()
        _ = scheduler.finish([RequestID(1): [3]])
        try scheduler.add(RequestID(2), prompt: Array(repeating: 1, count: 200), generated: 1)
        var steps = 0
        while let step = scheduler.next(), step.items.contains(where: { $0.request.number == 2 }) {
            #expect(step.items.first?.request == RequestID(1), "the one that decodes comes first")
            #expect(step.items.last.map { $0.tokens.count <= 16 } == true)
            steps += 1
            var predicted = [RequestID(1): [Int32(1)]]
            if step.items.last?.predicts == true { predicted[RequestID(2)] = [1] }
            _ = scheduler.finish(predicted)
        }
        #expect(steps == 13)
        scheduler.abandon()
        scheduler.remove(RequestID(1))
        try scheduler.add(RequestID(3), prompt: Array(repeating: 2, count: 200), generated: 1)
        #expect(scheduler.next()?.tokens == 64)
    }

    @Test("refusals say why")
    func refusals() throws {
        var limits = Scheduler.Limits()
        limits.waiting = 1
        var scheduler = Scheduler(blocks: 4, blockTokens: 4, limits: limits)
        let refused = #expect(throws: SchedulerError.self) {
            try scheduler.add(RequestID(1), prompt: Array(repeating: 1, count: 10), generated: 8)
        }
        #expect(
            refused?.description.contains("5 cache blocks of 4 tokens, and there are 4") == true)
        try scheduler.add(RequestID(1), prompt: Array(repeating: 1, count: 10), generated: 7)
        #expect(throws: SchedulerError.full(1)) {
            try scheduler.add(RequestID(2), prompt: [1], generated: 1)
        }
        #expect(throws: SchedulerError.known(RequestID(1))) {
            try scheduler.add(RequestID(1), prompt: [1], generated: 1)
        }
    }
}
