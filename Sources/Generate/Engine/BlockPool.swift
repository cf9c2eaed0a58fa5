// Blocks of a key–value cache, shared by sequences that begin alike (PagedAttention, Kwon et al. 2023,
// arXiv 2309.06180). A full block is known by the block before it and its own tokens, compared as they are and not by
// a hash: no choice of prompts can make one request read another's states.

/// Which blocks are free, who uses the others, and what the full ones hold.
package struct BlockPool {
    /// Index of a block in the cache's memory.
    package typealias Block = Int

    package let blockTokens: Int
    package let count: Int

    /// Number of sequences that use each block.
    private var uses: [Int]
    private var free: [Block]
    /// Full blocks by what they hold; in use or not.
    private var known: [Content: Block] = [:]
    private var contents: [Content?]
    /// Names that `Content.parent` refers to. A block gets a new one whenever it is filled.
    private var names: [Int]
    private var lastName = 0
    /// Blocks in no use whose content is kept, by when they were last used: the oldest goes first.
    private var idle: [Int: Block] = [:]
    private var idleSince: [Int]
    private var oldest = 0
    private var clock = 0

    /// What a full block holds: its tokens, behind those of its parent.
    private struct Content: Hashable {
        /// Name of the block before; 0 for a sequence's first.
        let parent: Int
        let tokens: [Int32]
    }

    package init(count: Int, blockTokens: Int) {
        precondition(count > 0 && blockTokens > 0, "a cache has blocks, and blocks have tokens")
        (self.count, self.blockTokens) = (count, blockTokens)
        uses = Array(repeating: 0, count: count)
        free = Array((0..<count).reversed())
        contents = Array(repeating: nil, count: count)
        names = Array(repeating: 0, count: count)
        idleSince = Array(repeating: -1, count: count)
    }

    /// Blocks that can be taken: those that hold nothing, and those whose content nobody uses.
    package var available: Int { free.count + idle.count }
    package var inUse: Int { count - available }

    /// Takes a block that holds nothing, at the cost of the content that was idle longest; `nil` if all are in use.
    package mutating func take() -> Block? {
        guard let block = free.popLast() ?? popOldest() else { return nil }
        if let content = contents[block] { known[content] = nil }
        contents[block] = nil
        // What stood behind it can be found no more: the name that it is known under is gone.
        names[block] = 0
        uses[block] = 1
        return block
    }

    /// Lets go of blocks in the order of the sequence; its end is the first to be overwritten.
    package mutating func release(_ blocks: [Block]) {
        for block in blocks.reversed() {
            precondition(uses[block] > 0, "a block is released by who uses it")
            uses[block] -= 1
            guard uses[block] == 0 else { continue }
            if contents[block] == nil {
                free.append(block)
            } else {
                idleSince[block] = clock
                idle[clock] = block
                clock += 1
            }
        }
    }

    /// Says that `block` now holds `tokens`, behind those of `parent`. Where another block holds the same, that one
    /// stays the one that is found.
    /// - Parameter tokens: as many as a block has.
    package mutating func fill(_ block: Block, with tokens: [Int32], behind parent: Block?) {
        precondition(tokens.count == blockTokens && uses[block] > 0, "a full block in use")
        guard contents[block] == nil else { return }
        let content = Content(parent: parent.map { names[$0] } ?? 0, tokens: tokens)
        if let twin = known[content] {
            // What comes behind either can be found behind the twin.
            names[block] = names[twin]
            return
        }
        lastName += 1
        names[block] = lastName
        contents[block] = content
        known[content] = block
    }

    /// Takes the longest run of full blocks that hold the beginning of `tokens`.
    /// - Parameter limit: tokens that may be found at most.
    package mutating func reuse(_ tokens: [Int32], limit: Int) -> [Block] {
        var (found, parent) = ([Block](), 0)
        for start in stride(from: 0, to: min(limit, tokens.count), by: blockTokens) {
            guard start + blockTokens <= min(limit, tokens.count) else { break }
            let content = Content(
                parent: parent, tokens: Array(tokens[start..<start + blockTokens]))
            guard let block = known[content] else { break }
            if uses[block] == 0 { idle[idleSince[block]] = nil }
            uses[block] += 1
            parent = names[block]
            found.append(block)
        }
        return found
    }

    private mutating func popOldest() -> Block? {
        guard !idle.isEmpty else { return nil }
        while oldest < clock {
            defer { oldest += 1 }
            if let block = idle.removeValue(forKey: oldest) { return block }
        }
        return nil
    }
}
