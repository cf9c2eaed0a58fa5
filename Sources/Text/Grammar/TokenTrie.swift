/// The texts of a vocabulary's tokens as a tree, so that tokens that begin alike are looked at once.
///
/// Nodes lie in preorder: the children of a node follow it, `next` is the first node behind its subtree.
package final class TokenTrie: Sendable {
    let bytes: [UInt8]
    let depths: [Int32]
    let next: [Int32]
    /// The tokens that end at node k are `tokens[starts[k] ..< starts[k + 1]]`.
    let starts: [Int32]
    let tokens: [TokenID]
    /// One more than the largest id.
    let vocabularySize: Int
    let longestToken: Int
    /// The bytes of token k are `texts[textEnds[k - 1] ..< textEnds[k]]`; none for tokens that are no text.
    private let texts: [UInt8]
    private let textEnds: [Int32]

    /// The trie of the tokens that stand for text: special tokens are in none.
    package convenience init(_ tokenizer: Tokenizer) {
        self.init(
            (0..<TokenID(tokenizer.vocabularySize)).map { id in
                guard tokenizer.vocabulary.bytes(of: id) != nil, !tokenizer.isSpecial(id) else {
                    return []
                }
                switch tokenizer.decoder.parts.part(id, isFirst: false) {
                case .text(let text): return Array(text)
                case .byte(let byte): return [byte]
                }
            })
    }

    /// - Parameter vocabulary: the bytes of each token; empty for those that are never allowed.
    init(_ vocabulary: [[UInt8]]) {
        let order = vocabulary.indices.filter { !vocabulary[$0].isEmpty }.sorted {
            let (left, right) = (vocabulary[$0], vocabulary[$1])
            return left == right ? $0 < $1 : left.lexicographicallyPrecedes(right)
        }
        var bytes: [UInt8] = []
        var depths: [Int32] = []
        var next: [Int32] = []
        var starts: [Int32] = []
        var open: [Int] = []
        var previous: [UInt8] = []
        for (place, token) in order.enumerated() {
            let text = vocabulary[token]
            let common = zip(previous, text).prefix { $0 == $1 }.count
            while open.count > common { next[open.removeLast()] = Int32(bytes.count) }
            for depth in common..<text.count {
                open.append(bytes.count)
                bytes.append(text[depth])
                depths.append(Int32(depth))
                next.append(0)
                // Of the new nodes the last one has the token, and those that are equal to it.
                starts.append(Int32(place))
            }
            previous = text
        }
        while let node = open.popLast() { next[node] = Int32(bytes.count) }
        starts.append(Int32(order.count))
        self.starts = starts
        self.bytes = bytes
        self.depths = depths
        self.next = next
        tokens = order.map { TokenID($0) }
        vocabularySize = vocabulary.count
        longestToken = vocabulary.map(\.count).max() ?? 0
        texts = vocabulary.flatMap { $0 }
        var end: Int32 = 0
        textEnds = vocabulary.map {
            end += Int32($0.count)
            return end
        }
    }

    /// The nodes, for as long as `body` runs.
    struct Nodes {
        let bytes: UnsafeBufferPointer<UInt8>
        let depths: UnsafeBufferPointer<Int32>
        let next: UnsafeBufferPointer<Int32>
        let starts: UnsafeBufferPointer<Int32>
        let tokens: UnsafeBufferPointer<TokenID>
    }

    func withNodes<Failure: Error>(
        _ body: (Nodes) throws(Failure) -> Void
    ) throws(Failure) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(Failure) in
            try depths.withUnsafeBufferPointer { (depths) throws(Failure) in
                try next.withUnsafeBufferPointer { (next) throws(Failure) in
                    try starts.withUnsafeBufferPointer { (starts) throws(Failure) in
                        try tokens.withUnsafeBufferPointer { (tokens) throws(Failure) in
                            try body(
                                Nodes(
                                    bytes: bytes, depths: depths, next: next, starts: starts,
                                    tokens: tokens))
                        }
                    }
                }
            }
        }
    }

    /// The bytes that are a token of their own: texts made of them can always be spelled.
    var singleBytes: Set<UInt8> {
        Set(
            bytes.indices.filter { depths[$0] == 0 && starts[$0] < starts[$0 + 1] }.map {
                bytes[$0]
            })
    }

    func text(of token: TokenID) -> ArraySlice<UInt8> {
        guard token >= 0, Int(token) < textEnds.count else { return [] }
        let start = token == 0 ? 0 : Int(textEnds[Int(token) - 1])
        return texts[start..<Int(textEnds[Int(token)])]
    }
}
