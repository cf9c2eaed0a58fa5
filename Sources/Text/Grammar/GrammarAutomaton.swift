/// Runs a grammar: the states that a text can be in, made when they are first met.
///
/// A frame is a state with the frame to which its rule returns; equal frames are one. A position is the
/// set of frames that the bytes so far can have led to; its transitions are remembered, so that walking
/// over many texts costs one look-up a byte.
final class GrammarAutomaton {
    typealias Position = Int32

    static let dead: Position = -1
    private static let unknown: Position = -2
    /// Frames in one position.
    static let mostFrames = 20_000
    /// Positions are forgotten when there are more, all but the current one.
    private static let mostPositions = 6_000

    private struct Frame: Hashable {
        let state: Grammar.State
        /// How often the rule of a `count` has been gone through.
        let count: Int32
        /// -1 at the root.
        let parent: Int32
        let depth: Int32
    }

    private struct Place {
        let frames: [Int32]
        let isComplete: Bool
    }

    private let grammar: Grammar
    private var frames: [Frame] = []
    private var frameIDs: [Frame: Int32] = [:]
    private var places: [Place] = []
    private var placeIDs: [[Int32]: Position] = [:]
    /// 256 positions for each position: bare memory, because walks look at it for every byte.
    private var rows = UnsafeMutablePointer<UnsafeMutablePointer<Position>>.allocate(capacity: 64)
    private var rowCapacity = 64

    private(set) var start: Position = dead

    init(_ grammar: Grammar) throws(ConstraintError) {
        self.grammar = grammar
        let root = frame(
            grammar.rules[grammar.root], count: 0, parent: -1, depth: 0)
        start = try position(closing: root.map { [$0] } ?? [])
    }

    deinit {
        releaseRows()
        rows.deallocate()
    }

    private func releaseRows() {
        for index in places.indices { rows[index].deallocate() }
    }

    /// Whether the bytes so far are a text of the grammar.
    func mayEnd(_ position: Position) -> Bool {
        position >= 0 && places[Int(position)].isComplete
    }

    /// Whether they are, and nothing can follow.
    func isAtEnd(_ position: Position) -> Bool {
        mayEnd(position) && places[Int(position)].frames.isEmpty
    }

    func step(_ position: Position, _ byte: UInt8) throws(ConstraintError) -> Position {
        if position == Self.dead { return Self.dead }
        let known = rows[Int(position)][Int(byte)]
        if known != Self.unknown { return known }
        var reached: [Int32] = []
        for id in places[Int(position)].frames {
            let frame = frames[Int(id)]
            guard case .bytes(let edges) = grammar.nodes[Int(frame.state)] else { continue }
            for edge in edges where edge.low <= byte && byte <= edge.high {
                if let next = self.frame(
                    edge.target, count: 0, parent: frame.parent, depth: frame.depth)
                {
                    reached.append(next)
                }
            }
        }
        let next = try self.position(closing: reached)
        rows[Int(position)][Int(byte)] = next
        return next
    }

    /// Forgets what is not needed behind `position`, if there is much.
    /// - Returns: the same position, under its new number; nil if nothing was forgotten.
    func compact(keeping position: Position) -> Position? {
        guard places.count > Self.mostPositions || frames.count > 40 * Self.mostPositions else {
            return nil
        }
        let place = places[Int(position)]
        let old = frames
        releaseRows()
        (frames, frameIDs, places, placeIDs) = ([], [:], [], [:])
        start = Self.dead
        return adopt(place, of: old)
    }

    /// An automaton that knows nothing but `position`.
    func copy(at position: Position) -> (GrammarAutomaton, Position) {
        let copy = GrammarAutomaton(at: grammar)
        guard position >= 0 else { return (copy, Self.dead) }
        return (copy, copy.adopt(places[Int(position)], of: frames))
    }

    private init(at grammar: Grammar) { self.grammar = grammar }

    /// Makes a place whose frames are numbered as in `old`.
    private func adopt(_ place: Place, of old: [Frame]) -> Position {
        func copied(_ id: Int32) -> Int32 {
            var chain: [Frame] = []
            var next = id
            while next >= 0 {
                chain.append(old[Int(next)])
                next = old[Int(next)].parent
            }
            return chain.reversed().reduce(-1) { parent, frame in
                intern(
                    Frame(
                        state: frame.state, count: frame.count, parent: parent,
                        depth: frame.depth))
            }
        }
        return intern(place.frames.map(copied).sorted(), isComplete: place.isComplete)
    }

    /// A position from which the same texts of up to `bytes` bytes lead on: how often a rule may still come does not matter
    /// where that is more often than there are bytes.
    func representative(of position: Position, within bytes: Int) -> Position {
        guard position >= 0 else { return position }
        let place = places[Int(position)]
        let frames = place.frames.map {
            representative(ofFrame: $0, within: Int32(clamping: bytes))
        }
        return frames == place.frames
            ? position : intern(Set(frames).sorted(), isComplete: place.isComplete)
    }

    private func representative(ofFrame id: Int32, within bytes: Int32) -> Int32 {
        // From the root on; chains are as long as texts are nested.
        var chain: [Int32] = []
        var next = id
        while next >= 0 {
            chain.append(next)
            next = frames[Int(next)].parent
        }
        return chain.reversed().reduce(-1) { parent, id in
            let frame = frames[Int(id)]
            var count = frame.count
            if case .count(_, let minimum, let maximum?, _) = grammar.nodes[Int(frame.state)],
                count >= minimum, maximum - count > bytes
            {
                count = max(minimum, maximum - bytes - 1)
            }
            guard count != frame.count || parent != frame.parent else { return id }
            return intern(
                Frame(state: frame.state, count: count, parent: parent, depth: frame.depth))
        }
    }

    // MARK: Frames

    /// A frame from which the text can be completed within the depth; nil if it cannot.
    private func frame(
        _ state: Grammar.State, count: Int32, parent: Int32, depth: Int32
    ) -> Int32? {
        let height: Int32
        if case .count(let rule, let minimum, _, let next) = grammar.nodes[Int(state)] {
            height =
                count < minimum
                ? max(grammar.height(ofRule: rule), grammar.heights[Int(next)])
                : grammar.heights[Int(next)]
        } else {
            height = grammar.heights[Int(state)]
        }
        guard height != Grammar.unreachable, height + depth <= SchemaLimits.nesting else {
            return nil
        }
        return intern(Frame(state: state, count: count, parent: parent, depth: depth))
    }

    private func intern(_ frame: Frame) -> Int32 {
        if let id = frameIDs[frame] { return id }
        let id = Int32(frames.count)
        frames.append(frame)
        frameIDs[frame] = id
        return id
    }

    /// The position of frames and all that they lead to without a byte.
    private func position(closing reached: [Int32]) throws(ConstraintError) -> Position {
        var open = reached
        var seen = Set(reached)
        var waiting: [Int32] = []
        var isComplete = false
        func add(_ state: Grammar.State, _ count: Int32, _ parent: Int32, _ depth: Int32) {
            if let id = frame(state, count: count, parent: parent, depth: depth),
                seen.insert(id).inserted
            {
                open.append(id)
            }
        }
        while let id = open.popLast() {
            guard seen.count <= Self.mostFrames else {
                throw .tooAmbiguous(limit: Self.mostFrames)
            }
            let here = frames[Int(id)]
            switch grammar.nodes[Int(here.state)] {
            case .bytes: waiting.append(id)
            case .split(let targets):
                for target in targets { add(target, 0, here.parent, here.depth) }
            case .call(let rule, let next, let nests):
                guard let back = frame(next, count: 0, parent: here.parent, depth: here.depth)
                else { continue }
                add(grammar.rules[rule], 0, back, here.depth + (nests ? 1 : 0))
            case .count(let rule, let minimum, let maximum, let next):
                if here.count >= minimum { add(next, 0, here.parent, here.depth) }
                if maximum.map({ here.count < $0 }) ?? true {
                    // Beyond what matters, counts are alike.
                    let count = maximum == nil ? min(here.count + 1, minimum) : here.count + 1
                    guard
                        let back = frame(
                            here.state, count: count, parent: here.parent, depth: here.depth)
                    else { continue }
                    add(grammar.rules[rule], 0, back, here.depth)
                }
            case .end:
                if here.parent < 0 {
                    isComplete = true
                } else if seen.insert(here.parent).inserted {
                    open.append(here.parent)
                }
            }
        }
        if waiting.isEmpty, !isComplete { return Self.dead }
        return intern(waiting.sorted(), isComplete: isComplete)
    }

    private func intern(_ frames: [Int32], isComplete: Bool) -> Position {
        let key = isComplete ? frames + [-1] : frames
        if let position = placeIDs[key] { return position }
        let position = Position(places.count)
        places.append(Place(frames: frames, isComplete: isComplete))
        placeIDs[key] = position
        let row = UnsafeMutablePointer<Position>.allocate(capacity: 256)
        row.initialize(repeating: Self.unknown, count: 256)
        if places.count > rowCapacity {
            let more = UnsafeMutablePointer<UnsafeMutablePointer<Position>>.allocate(
                capacity: 2 * rowCapacity)
            more.moveInitialize(from: rows, count: rowCapacity)
            rows.deallocate()
            (rows, rowCapacity) = (more, 2 * rowCapacity)
        }
        rows.advanced(by: Int(position)).initialize(to: row)
        return position
    }

    // MARK: Tokens

    /// The tokens of a trie whose text the grammar can go on with from `position`.
    func tokens(
        of trie: TokenTrie, from position: Position
    ) throws(ConstraintError) -> TokenMask {
        var words = [UInt64](repeating: 0, count: (trie.vocabularySize + 63) / 64)
        var stack = [Position](repeating: Self.dead, count: trie.longestToken + 1)
        stack[0] = position
        // Every token of a vocabulary is looked at: without checks of bounds, a few cycles for each.
        try trie.withNodes { (nodes) throws(ConstraintError) in
            try words.withUnsafeMutableBufferPointer { (words) throws(ConstraintError) in
                try stack.withUnsafeMutableBufferPointer { (stack) throws(ConstraintError) in
                    try walk(nodes, stack, words)
                }
            }
        }
        return TokenMask(words: words)
    }

    private func walk(
        _ nodes: TokenTrie.Nodes, _ stack: UnsafeMutableBufferPointer<Position>,
        _ words: UnsafeMutableBufferPointer<UInt64>
    ) throws(ConstraintError) {
        var node = 0
        let count = nodes.bytes.count
        var rows = self.rows
        while node < count {
            let depth = Int(nodes.depths[node])
            let position = stack[depth]
            var next = rows[Int(position)][Int(nodes.bytes[node])]
            if next == Self.unknown {
                next = try step(position, nodes.bytes[node])
                rows = self.rows
            }
            if next == Self.dead {
                node = Int(nodes.next[node])
                continue
            }
            stack[depth + 1] = next
            var place = Int(nodes.starts[node])
            node += 1
            let end = Int(nodes.starts[node])
            while place < end {
                let token = Int(nodes.tokens[place])
                words[token / 64] |= 1 << UInt64(token % 64)
                place += 1
            }
        }
    }
}
