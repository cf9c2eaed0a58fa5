/// Byte-pair encoding of one word: start from its smallest symbols, merge the best-ranked neighbours,
/// leftmost first, until no neighbours merge.
struct BytePairModel: Sendable {
    /// How a word is cut into its first symbols.
    enum Symbols: Sendable {
        /// Bytes; `ids[byte]`, nil where the vocabulary lacks the byte.
        case bytes(ids: [TokenID?])
        /// Unicode scalars, by vocabulary look-up; a scalar that is missing there falls back to
        /// `bytes` (when all its bytes are in it), else to the unknown token.
        case scalars(ids: Vocabulary, bytes: [TokenID?]?)
    }

    let symbols: Symbols
    let merges: MergeTable
    /// The token for what the vocabulary lacks; without one such symbols vanish, as in the reference.
    let unknown: TokenID?
    /// Whether neighbouring unknown symbols become one token.
    let fusesUnknown: Bool
    /// Whole words that are tokens, taken before any merging (`ignore_merges`, Llama 3): ids by the
    /// bytes of the word.
    let wholeWords: Vocabulary?

    /// Words with more symbols go through the heap: merging by scanning is quadratic.
    private static let scanLimit = 48

    /// Appends the tokens of `word`, through the cache when it is short.
    @inline(__always)
    func encode(
        _ word: UnsafeBufferPointer<UInt8>, scratch: EncodingScratch, into output: inout [TokenID]
    ) {
        guard word.count <= WordCache.longestWord else {
            merge(word, scratch: scratch, into: &output)
            return
        }
        let key = WordCache.Key(word)
        if scratch.cache.append(key, to: &output) { return }
        let start = output.count
        merge(word, scratch: scratch, into: &output)
        if (1...WordCache.mostTokens).contains(output.count - start) {
            scratch.cache.store(key, output[start...])
        }
    }

    @inline(never)
    private func merge(
        _ word: UnsafeBufferPointer<UInt8>, scratch: EncodingScratch, into output: inout [TokenID]
    ) {
        if let whole = wholeWords?.id(of: word) {
            output.append(whole)
            return
        }
        scratch.symbols.removeAll(keepingCapacity: true)
        appendSymbols(of: word, to: &scratch.symbols)
        if scratch.symbols.count <= Self.scanLimit {
            mergeByScanning(scratch)
            output.append(contentsOf: scratch.symbols)
        } else {
            mergeByHeap(scratch, into: &output)
        }
    }

    // MARK: Symbols

    private func appendSymbols(of word: UnsafeBufferPointer<UInt8>, to list: inout [TokenID]) {
        // The unknown token is held back until a known scalar or the end: what falls back to bytes
        // in between goes first. Odd, but what the reference does.
        var pending: TokenID?
        func addUnknown(to list: inout [TokenID]) {
            guard let unknown else { return }
            if let pending, !fusesUnknown { list.append(pending) }
            pending = unknown
        }
        switch symbols {
        case .bytes(let ids):
            for byte in word {
                if let id = ids[Int(byte)] {
                    if let held = pending { list.append(held) }
                    pending = nil
                    list.append(id)
                } else {
                    addUnknown(to: &list)
                }
            }
        case .scalars(let ids, let bytes):
            var position = 0
            while position < word.count {
                let length = DecodedScalar(word, at: position).length
                let scalar = UnsafeBufferPointer(rebasing: word[position..<position + length])
                position += length
                if let id = ids.id(of: scalar) {
                    if let held = pending { list.append(held) }
                    pending = nil
                    list.append(id)
                } else if let bytes, scalar.allSatisfy({ bytes[Int($0)] != nil }) {
                    for byte in scalar {
                        if let id = bytes[Int(byte)] { list.append(id) }
                    }
                } else {
                    addUnknown(to: &list)
                }
            }
        }
        if let pending { list.append(pending) }
    }

    // MARK: Merging

    /// Few symbols: find the best pair by looking at all, O(n²) without any bookkeeping.
    private func mergeByScanning(_ scratch: EncodingScratch) {
        var count = scratch.symbols.count
        if count < 2 { return }
        scratch.pairs.removeAll(keepingCapacity: true)
        for index in 1..<count {
            scratch.pairs.append(merges.merge(scratch.symbols[index - 1], scratch.symbols[index]))
        }
        scratch.symbols.withUnsafeMutableBufferPointer { symbols in
            scratch.pairs.withUnsafeMutableBufferPointer { pairs in
                while count > 1 {
                    var best = 0
                    for index in 1..<max(count - 1, 1) where pairs[index].rank < pairs[best].rank {
                        best = index
                    }
                    if pairs[best].packed == MergeTable.Merge.none.packed { break }
                    symbols[best] = pairs[best].merged
                    count -= 1
                    for index in best + 1..<max(count, best + 1) {
                        symbols[index] = symbols[index + 1]
                        pairs[index - 1] = pairs[index]
                    }
                    if best > 0 {
                        pairs[best - 1] = merges.merge(symbols[best - 1], symbols[best])
                    }
                    if best + 1 < count {
                        pairs[best] = merges.merge(symbols[best], symbols[best + 1])
                    }
                }
            }
        }
        scratch.symbols.removeSubrange(count...)
    }

    /// Many symbols: a linked list and a heap of pairs, O(n log n). A pair that changed since it was
    /// pushed is recognised by its rank and dropped.
    private func mergeByHeap(_ scratch: EncodingScratch, into output: inout [TokenID]) {
        let count = scratch.symbols.count
        scratch.heap.removeAll()
        scratch.previous = (0..<Int32(count)).map { $0 - 1 }
        scratch.next = (1...Int32(count)).map { $0 }
        scratch.pairs.removeAll(keepingCapacity: true)
        for index in 0..<count {
            let pair =
                index + 1 < count
                ? merges.merge(scratch.symbols[index], scratch.symbols[index + 1]) : .none
            scratch.pairs.append(pair)
            if pair.rank != MergeTable.Merge.none.rank {
                scratch.heap.push(rank: pair.rank, position: index)
            }
        }
        while let (rank, position) = scratch.heap.pop() {
            let pair = scratch.pairs[position]
            if pair.rank != rank { continue }
            scratch.symbols[position] = pair.merged
            let absorbed = Int(scratch.next[position])
            scratch.pairs[absorbed] = .none
            let following = Int(scratch.next[absorbed])
            scratch.next[position] = Int32(following)
            if following < count { scratch.previous[following] = Int32(position) }
            refreshPair(at: position, in: scratch)
            if scratch.previous[position] >= 0 {
                refreshPair(at: Int(scratch.previous[position]), in: scratch)
            }
        }
        var index = 0
        while index < count {
            output.append(scratch.symbols[index])
            index = Int(scratch.next[index])
        }
    }

    private func refreshPair(at position: Int, in scratch: EncodingScratch) {
        let following = Int(scratch.next[position])
        guard following < scratch.symbols.count else {
            scratch.pairs[position] = .none
            return
        }
        let pair = merges.merge(scratch.symbols[position], scratch.symbols[following])
        scratch.pairs[position] = pair
        if pair.rank != MergeTable.Merge.none.rank {
            scratch.heap.push(rank: pair.rank, position: position)
        }
    }
}
