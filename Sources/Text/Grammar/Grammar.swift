/// An automaton over bytes with a stack: states in one list, rules that call one another.
///
/// States are made from the back: every construct is given the state that follows it and returns the one
/// that it begins with.
package struct Grammar: Sendable {
    typealias State = Int32

    struct Edge: Sendable {
        let low: UInt8
        let high: UInt8
        let target: State
    }

    enum Node: Sendable {
        /// One byte.
        case bytes([Edge])
        /// Any of these, without a byte.
        case split([State])
        /// A rule, then `next`. `nests`: the rule is an object or an array, which counts as a level.
        case call(rule: Int, next: State, nests: Bool)
        /// A rule between `minimum` and `maximum` times (nil: any number of times), then `next`.
        case count(rule: Int, minimum: Int32, maximum: Int32?, next: State)
        /// The end of a rule.
        case end
    }

    private(set) var nodes: [Node] = []
    /// The state that each rule begins with.
    private(set) var rules: [State] = []
    /// The rule of the whole text.
    private(set) var root = 0
    /// Levels that reaching the end of its rule takes from each state at least; nil where it cannot be
    /// reached.
    private(set) var heights: [Int32] = []

    static let unreachable = Int32.max

    /// Rules of one character of a set, which patterns and keys call for again and again.
    private var characterRules: [Pattern.CharacterSet: Int] = [:]

    // MARK: Making

    mutating func add(_ node: Node) -> State {
        nodes.append(node)
        return State(nodes.count - 1)
    }

    /// A state that is defined later.
    mutating func reserve() -> State { add(.split([])) }
    mutating func define(_ state: State, _ node: Node) { nodes[Int(state)] = node }

    mutating func reserveRule() -> Int {
        rules.append(0)
        return rules.count - 1
    }
    mutating func define(rule: Int, _ start: State) { rules[rule] = start }

    /// A rule of its own.
    mutating func rule(_ body: (inout Grammar, State) -> State) -> Int {
        let rule = reserveRule()
        let end = add(.end)
        rules[rule] = body(&self, end)
        return rule
    }

    mutating func bytes(_ ranges: [ClosedRange<UInt8>], then next: State) -> State {
        add(.bytes(ranges.map { Edge(low: $0.lowerBound, high: $0.upperBound, target: next) }))
    }

    /// One character of a set within a JSON string.
    mutating func character(of set: Pattern.CharacterSet, then next: State) -> State {
        if let rule = characterRules[set] {
            return add(.call(rule: rule, next: next, nests: false))
        }
        let rule = self.rule { grammar, end in
            let edges = grammar.characters(set, then: end)
            return grammar.add(.bytes(edges))
        }
        characterRules[set] = rule
        return add(.call(rule: rule, next: next, nests: false))
    }

    mutating func literal(_ text: some BidirectionalCollection<UInt8>, then next: State) -> State {
        text.reversed().reduce(next) { state, byte in bytes([byte...byte], then: state) }
    }

    mutating func literal(_ text: String, then next: State) -> State {
        literal(Array(text.utf8), then: next)
    }

    /// Any of many texts: one path for what they begin with alike.
    mutating func anyOf(_ texts: [[UInt8]], then next: State) -> State {
        anyOf(texts.sorted { $0.lexicographicallyPrecedes($1) }[...], from: 0, then: next)
    }

    private mutating func anyOf(
        _ texts: ArraySlice<[UInt8]>, from depth: Int, then next: State
    ) -> State {
        // One text left: no branches, however long it is.
        if texts.count == 1, let only = texts.first {
            return literal(only[depth...], then: next)
        }
        var rest = texts
        var edges: [Edge] = []
        var isEnd = false
        while let text = rest.first {
            guard text.count > depth else {
                isEnd = true
                rest.removeFirst()
                continue
            }
            let byte = text[depth]
            let group = rest.prefix { $0.count > depth && $0[depth] == byte }
            rest = rest.dropFirst(group.count)
            // Equal texts, once.
            let target =
                group.first == group.last
                ? literal(text[(depth + 1)...], then: next)
                : anyOf(group, from: depth + 1, then: next)
            edges.append(Edge(low: byte, high: byte, target: target))
        }
        let branch = add(.bytes(edges))
        return isEnd ? add(.split([next, branch])) : branch
    }

    // MARK: Finishing

    /// Names the rule of the whole, and finds what can be completed.
    /// - Returns: whether the whole can be.
    mutating func finish(root: Int) -> Bool {
        self.root = root
        heights = Array(repeating: Self.unreachable, count: nodes.count)
        let users = self.users()
        var open = nodes.indices.filter { if case .end = nodes[$0] { true } else { false } }
        while let state = open.popLast() {
            let height = height(of: nodes[state])
            if height < heights[state] {
                heights[state] = height
                open += users[state]
            }
        }
        return height(ofRule: root) != Self.unreachable
    }

    /// The states whose height depends on each state's.
    private func users() -> [[Int]] {
        var users = [[Int]](repeating: [], count: nodes.count)
        for (state, node) in nodes.enumerated() {
            switch node {
            case .bytes(let edges): for edge in edges { users[Int(edge.target)].append(state) }
            case .split(let targets): for target in targets { users[Int(target)].append(state) }
            case .call(let rule, let next, _), .count(let rule, _, _, let next):
                users[Int(rules[rule])].append(state)
                users[Int(next)].append(state)
            case .end: break
            }
        }
        return users
    }

    private func height(of node: Node) -> Int32 {
        switch node {
        case .bytes(let edges): edges.map { heights[Int($0.target)] }.min() ?? Self.unreachable
        case .split(let targets): targets.map { heights[Int($0)] }.min() ?? Self.unreachable
        case .call(let rule, let next, let nests):
            max(height(ofRule: rule, nests: nests), heights[Int(next)])
        case .count(let rule, let minimum, _, let next):
            minimum > 0 ? max(height(ofRule: rule), heights[Int(next)]) : heights[Int(next)]
        case .end: 0
        }
    }

    func height(ofRule rule: Int, nests: Bool = false) -> Int32 {
        let height = heights[Int(rules[rule])]
        return height == Self.unreachable || !nests ? height : height + 1
    }

    /// The texts of the grammar that consist of these bytes.
    func restricted(to bytes: Set<UInt8>) -> Grammar {
        if bytes.count == 256 { return self }
        var grammar = self
        for (state, node) in nodes.enumerated() {
            guard case .bytes(let edges) = node else { continue }
            let kept = edges.flatMap { edge in
                (edge.low...edge.high).filter { bytes.contains($0) }.map {
                    Edge(low: $0, high: $0, target: edge.target)
                }
            }
            grammar.nodes[state] = .bytes(kept)
        }
        _ = grammar.finish(root: root)
        return grammar
    }
}
