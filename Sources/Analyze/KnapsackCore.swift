// Exchanges around the relaxation's solution.
//
// With the relaxation's price p of cost, a solution exceeds the lower bound by
//
//     excess = Σ over groups of reduced(choice) + p · (budget − cost),
//     reduced(choice) = loss + p · cost − the least of that in its group ≥ 0.
//
// So every solution with an excess below some limit consists of choices whose reduced losses sum to
// less than it. Near the optimum that is the relaxation's choice in most groups and one of a few in
// the others: a dynamic program over the groups, best alternatives first, lists them all, as pairs
// (cost, reduced loss) of which only the undominated are kept. The limit starts far below the excess
// of the solution at hand and rises until a solution turns up, which then is optimal; the work follows
// the gap that there is, not the one that was feared. Where too many states are left the least
// promising are dropped, and with them the proof of optimality.

/// Improves a solution of a knapsack by exchanging choices of few groups.
struct KnapsackCore {
    /// Most states that are kept after a group, and most that are made in all: a third of a second.
    /// With 16 times as many, 448 groups of 200 choices had the same solutions, more of them proved.
    static let mostStates = 1 << 13
    static let mostWork = 15_000_000
    /// The limit starts at the solution's excess divided by 4 to this power.
    private static let deepenings = 8

    /// A choice other than the relaxation's.
    private struct Alternative {
        /// Of the choice minus that of the relaxation's.
        let cost: Int
        let reduced: Double
        /// Place in the group's frontier.
        let position: Int
    }

    /// The relaxation's solution with the exchanges of some groups.
    private struct State {
        /// Of the exchanges made so far.
        var cost: Int
        var reduced: Double
        /// The last exchange, in `nodes`; −1 before the first.
        var node: Int32
        /// The exchange made in the group at hand, among its alternatives; −1 for none.
        var alternative: Int32
    }

    /// One exchange after another, back to the first.
    private struct Node {
        let parent: Int32
        let group: Int32
        let position: Int32
    }

    /// Which states can still lead to a solution below the limit.
    private struct Window {
        let limit: Double
        let price: Double
        let slack: Int
        /// What the groups that follow can save and spend, at most.
        let saved: Int
        let spent: Int

        func admits(_ state: State) -> Bool {
            let unspent = max(0, slack - state.cost - spent)
            return state.reduced + price * Double(unspent) < limit && state.cost - saved <= slack
        }
    }

    /// Per group, the place in its frontier of the best choice known.
    private(set) var positions: [Int]
    /// Whether no solution is better.
    private(set) var isOptimal = false

    private let base: [Int]
    /// Per group, least reduced loss first.
    private let alternatives: [[Alternative]]
    private let price: Double
    /// What the relaxation's choices leave of the budget.
    private let slack: Int
    /// An excess that is as good as none.
    private let tolerance: Double
    private var work = 0

    init(
        _ frontiers: [Frontier], around base: [Int], price: Double, slack: Int, tolerance: Double
    ) {
        self.base = base
        self.price = price
        self.slack = slack
        self.tolerance = tolerance
        positions = base
        alternatives = zip(frontiers, base).map { frontier, chosen in
            let now = frontier.items[chosen]
            return frontier.items.indices.filter { $0 != chosen }.map { position in
                let item = frontier.items[position]
                let cost = item.cost - now.cost
                // Rounding may take it below zero.
                let reduced = max(0, item.loss - now.loss + price * Double(cost))
                return Alternative(cost: cost, reduced: reduced, position: position)
            }
            .sorted { ($0.reduced, $0.position) < ($1.reduced, $1.position) }
        }
    }

    /// Looks for solutions that are better than one that is known.
    mutating func improve(from known: [Int]) {
        positions = known
        var excess = excess(of: known)
        let first = excess
        var truncations = 0
        for deepening in 0...Self.deepenings {
            guard excess > tolerance else {
                isOptimal = true
                return
            }
            var scale = 1.0
            for _ in deepening..<Self.deepenings { scale /= 4 }
            let limit = min(first * scale, excess)
            let (found, isComplete) = search(below: limit)
            if let found {
                positions = found
                excess = self.excess(of: found)
            }
            if isComplete, found != nil || deepening == Self.deepenings {
                isOptimal = true
                return
            }
            if !isComplete {
                truncations += 1
                if found != nil || truncations == 3 || work >= Self.mostWork { break }
            }
        }
        isOptimal = excess <= tolerance
    }

    private func excess(of positions: [Int]) -> Double {
        var (cost, reduced) = (0, 0.0)
        for (group, position) in positions.enumerated() where position != base[group] {
            guard let change = alternatives[group].first(where: { $0.position == position }) else {
                preconditionFailure("group \(group) has no choice \(position)")
            }
            cost += change.cost
            reduced += change.reduced
        }
        return reduced + price * Double(slack - cost)
    }

    /// The best solution whose excess is below `limit`, and whether all of them were looked at.
    private mutating func search(below limit: Double) -> (positions: [Int]?, isComplete: Bool) {
        let groups = alternatives.indices
            .filter { (alternatives[$0].first?.reduced ?? .infinity) < limit }
            .sorted {
                (alternatives[$0][0].reduced, $0) < (alternatives[$1][0].reduced, $1)
            }
        let reach = reach(of: groups, below: limit)
        var isComplete = true
        var nodes: [Node] = []
        var states = [State(cost: 0, reduced: 0, node: -1, alternative: -1)]
        var best: (excess: Double, node: Int32?) = (limit, nil)
        consider(states[0], &best)
        for (order, group) in groups.enumerated() {
            // The groups that follow have none below it either.
            guard alternatives[group][0].reduced < best.excess, best.excess > tolerance else {
                break
            }
            guard work < Self.mostWork else {
                isComplete = false
                break
            }
            let window = Window(
                limit: best.excess, price: price, slack: slack, saved: reach[order + 1].saved,
                spent: reach[order + 1].spent)
            states = exchanged(states, alternatives[group], window)
            for index in states.indices where states[index].alternative >= 0 {
                let change = alternatives[group][Int(states[index].alternative)]
                nodes.append(
                    Node(
                        parent: states[index].node, group: Int32(group),
                        position: Int32(change.position)))
                states[index].node = Int32(nodes.count - 1)
                states[index].alternative = -1
                consider(states[index], &best)
            }
            if states.count > Self.mostStates {
                states = Self.thinned(states, limit: best.excess)
                isComplete = false
            }
        }
        return (best.node.map { exchanges($0, nodes) }, isComplete || best.excess <= tolerance)
    }

    private func consider(_ state: State, _ best: inout (excess: Double, node: Int32?)) {
        guard state.cost <= slack else { return }
        let excess = state.reduced + price * Double(slack - state.cost)
        if excess < best.excess { best = (excess, state.node) }
    }

    private func exchanges(_ last: Int32, _ nodes: [Node]) -> [Int] {
        var positions = base
        var next = last
        while next >= 0 {
            let node = nodes[Int(next)]
            positions[Int(node.group)] = Int(node.position)
            next = node.parent
        }
        return positions
    }

    /// How much the groups from some place in the order on can save and spend, at most.
    private func reach(of groups: [Int], below limit: Double) -> [(saved: Int, spent: Int)] {
        var reach = [(saved: 0, spent: 0)]
        for group in groups.reversed() {
            var (saved, spent) = (0, 0)
            for change in alternatives[group] {
                guard change.reduced < limit else { break }
                saved = max(saved, -change.cost)
                spent = max(spent, change.cost)
            }
            let rest = reach[reach.count - 1]
            reach.append((rest.saved + saved, rest.spent + spent))
        }
        return reach.reversed()
    }

    /// The states as they are and with each of a group's alternatives.
    private mutating func exchanged(
        _ states: [State], _ alternatives: [Alternative], _ window: Window
    ) -> [State] {
        var all = states.filter(window.admits)
        for (index, change) in alternatives.enumerated() {
            guard change.reduced < window.limit else { break }
            work += all.count + states.count
            all = merged(all, states, with: change, Int32(index), window)
        }
        return all
    }

    /// Merges two lists in order of cost, the second after an exchange; of the result only what no
    /// other state dominates is kept.
    private func merged(
        _ left: [State], _ right: [State], with change: Alternative, _ index: Int32,
        _ window: Window
    ) -> [State] {
        var result: [State] = []
        result.reserveCapacity(left.count + right.count)
        var (i, j) = (0, 0)
        var least = Double.infinity
        while i < left.count || j < right.count {
            var next: State
            if j == right.count
                || (i < left.count && precedes(left[i], right[j], with: change))
            {
                next = left[i]
                i += 1
            } else {
                next = right[j]
                next.cost += change.cost
                next.reduced += change.reduced
                next.alternative = index
                j += 1
            }
            let loss = next.reduced - price * Double(next.cost)
            guard loss < least, window.admits(next) else { continue }
            least = loss
            result.append(next)
        }
        return result
    }

    private func precedes(_ left: State, _ right: State, with change: Alternative) -> Bool {
        let cost = right.cost + change.cost
        guard left.cost == cost else { return left.cost < cost }
        return left.reduced <= right.reduced + change.reduced
    }

    /// About `mostStates` of the states, those of least reduced loss, in the same order.
    private static func thinned(_ states: [State], limit: Double) -> [State] {
        let bins = 1 << 12
        func bin(_ state: State) -> Int {
            let share = state.reduced / limit
            return share < 1 ? Int(share * Double(bins - 1)) : bins - 1
        }
        var counts = Array(repeating: 0, count: bins)
        for state in states { counts[bin(state)] += 1 }
        var (last, kept) = (0, counts[0])
        while last + 1 < bins, kept + counts[last + 1] <= mostStates {
            last += 1
            kept += counts[last]
        }
        let near = states.filter { bin($0) <= last }
        guard near.count > mostStates else { return near }
        // All of one bin, as where every choice costs the same per unit: evenly over the costs.
        return (0..<mostStates).map { near[$0 * near.count / mostStates] }
    }
}
