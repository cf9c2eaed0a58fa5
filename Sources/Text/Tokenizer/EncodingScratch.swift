/// The working memory of one `encode` call: symbols, merge heap, word cache. Kept by the tokenizer
/// between calls, because clearing a megabyte would cost more than encoding a short prompt.
final class EncodingScratch: @unchecked Sendable {
    // Unchecked: the tokenizer lends a scratch to one call at a time.

    var symbols: [TokenID] = []
    var pairs: [MergeTable.Merge] = []
    var previous: [Int32] = []
    var next: [Int32] = []
    var heap = MergeHeap()
    var cache = WordCache()
    var text: [UInt8] = []
}

/// A binary min-heap of (rank, position): lowest rank first, leftmost first among equals.
struct MergeHeap {
    private var keys: [UInt64] = []

    mutating func removeAll() { keys.removeAll(keepingCapacity: true) }

    mutating func push(rank: UInt32, position: Int) {
        let key = UInt64(rank) << 32 | UInt64(position)
        keys.append(key)
        var child = keys.count - 1
        keys.withUnsafeMutableBufferPointer { keys in
            while child > 0 {
                let parent = (child - 1) / 2
                if keys[parent] <= key { break }
                keys[child] = keys[parent]
                child = parent
            }
            keys[child] = key
        }
    }

    mutating func pop() -> (rank: UInt32, position: Int)? {
        guard let top = keys.first, let last = keys.popLast() else { return nil }
        let count = keys.count
        keys.withUnsafeMutableBufferPointer { keys in
            guard count > 0 else { return }
            var parent = 0
            while true {
                var child = 2 * parent + 1
                if child >= count { break }
                if child + 1 < count, keys[child + 1] < keys[child] { child += 1 }
                if last <= keys[child] { break }
                keys[parent] = keys[child]
                parent = child
            }
            keys[parent] = last
        }
        return (UInt32(top >> 32), Int(top & 0xFFFF_FFFF))
    }
}

/// The tokens of words seen lately, by content: bounded, direct-mapped, newest wins.
///
/// Words of up to 31 bytes and 7 tokens are kept, in entries of one cache line: 16 K entries are 1 MB
/// and catch 97 % of English words.
struct WordCache: ~Copyable {
    static let longestWord = 31
    static let mostTokens = 7

    /// The bytes of a word, zero-padded, with its length in the last byte.
    struct Key: Equatable {
        var words: SIMD4<UInt64>

        /// - Parameter word: 1 to 31 bytes.
        @inline(__always)
        init(_ word: UnsafeBufferPointer<UInt8>) {
            words = .zero
            withUnsafeMutableBytes(of: &words) { raw in
                raw.copyMemory(from: UnsafeRawBufferPointer(word))
                raw[31] = UInt8(truncatingIfNeeded: word.count)
            }
        }

        @inline(__always)
        var hash: UInt64 {
            let a = ByteHash.mix(words[0] ^ words[3].byteSwapped)
            return words[1] | words[2] == 0
                ? a : ByteHash.mix(a ^ words[1] &+ words[2] &* 0xD6E8_FEB8_6659_FD93)
        }
    }

    private struct Entry {
        var key: SIMD4<UInt64>
        /// Tokens 0 to 6; the last lane is their count.
        var tokens: SIMD8<TokenID>
    }

    private static let size = 1 << 14
    private let entries: UnsafeMutablePointer<Entry>

    init() {
        entries = .allocate(capacity: Self.size)
        entries.initialize(repeating: Entry(key: .zero, tokens: .zero), count: Self.size)
    }

    deinit { entries.deallocate() }

    /// Appends the tokens of the word if they are known.
    @inline(__always)
    func append(_ key: Key, to output: inout [TokenID]) -> Bool {
        let entry = entries + Int(key.hash >> 50)
        guard entry.pointee.key == key.words else { return false }
        let tokens = entry.pointee.tokens
        output.append(tokens[0])
        let count = Int(tokens[7])
        var index = 1
        while index < count {
            output.append(tokens[index])
            index += 1
        }
        return true
    }

    /// - Parameter tokens: 1 to 7 of them.
    func store(_ key: Key, _ tokens: ArraySlice<TokenID>) {
        var lanes = SIMD8<TokenID>()
        for (lane, token) in tokens.enumerated() { lanes[lane] = token }
        lanes[7] = TokenID(tokens.count)
        entries[Int(key.hash >> 50)] = Entry(key: key.words, tokens: lanes)
    }
}
