// The multiple-choice knapsack: one choice per group, least total loss, total cost within a budget.
//
// The relaxation that may mix the choices of a group is solved exactly: per group the lower convex
// hull of (cost, loss), and then all hull edges of all groups in order of loss saved per unit of cost
// until the budget is spent. It gives a lower bound and a price of cost, and the choices before the
// edge that did not fit are at most one edge away from it. Whatever the relaxation leaves unspent is
// filled, and then `KnapsackCore` exchanges choices around it, exactly where that is affordable.
// Kellerer, Pferschy, Pisinger: Knapsack Problems (2004), chapter 11.

/// A knapsack of groups; the same groups and budget give the same solution.
package struct Knapsack: Sendable {
    /// One way to settle a group.
    package struct Choice: Hashable, Sendable {
        /// In units of the budget; 0 or more.
        package let cost: Int
        /// Finite.
        package let loss: Double

        package init(cost: Int, loss: Double) {
            self.cost = cost
            self.loss = loss
        }
    }

    /// What was chosen, and how far from the optimum it can be.
    package struct Solution: Hashable, Sendable {
        /// Per group, the place of its choice.
        package let choices: [Int]
        package let cost: Int
        package let loss: Double
        /// No solution within the budget loses less: the relaxation's value.
        package let lowerBound: Double
        /// Whether the search has proved that no solution loses less than this one.
        package let isOptimal: Bool

        /// The solution's distance from the optimum, at most.
        package var gap: Double { loss - lowerBound }
    }

    private let groups: [[Choice]]
    private let frontiers: [Frontier]

    /// - Parameter groups: none of them empty; the sum of all groups' largest costs fits `Int`.
    package init(_ groups: [[Choice]]) {
        for (index, group) in groups.enumerated() {
            precondition(!group.isEmpty, "group \(index) of a knapsack has no choice")
            for choice in group {
                precondition(
                    choice.cost >= 0 && choice.loss.isFinite,
                    "group \(index) of a knapsack has a choice of cost \(choice.cost) and loss \(choice.loss)"
                )
            }
        }
        self.groups = groups
        frontiers = groups.map(Frontier.init)
    }

    /// The least that any solution costs.
    package var leastCost: Int { frontiers.reduce(0) { $0 + $1.items[0].cost } }

    /// - Parameter budget: what the choices cost together, at most.
    package func solve(budget: Int) throws(KnapsackError) -> Solution {
        guard leastCost <= budget else {
            throw .infeasible(budget: budget, leastCost: leastCost)
        }
        let relaxed = Relaxation(frontiers, budget: budget)
        let base = total(relaxed.positions)
        guard let price = relaxed.price else {
            // Every group has its least loss.
            return solution(relaxed.positions, lowerBound: base.loss, isOptimal: true)
        }
        let slack = budget - base.cost
        let bound = base.loss - price * Double(slack)
        var core = KnapsackCore(
            frontiers, around: relaxed.positions, price: price, slack: slack,
            tolerance: 1e-14 * abs(bound))
        core.improve(from: filled(relaxed, budget: budget))
        return solution(core.positions, lowerBound: bound, isOptimal: core.isOptimal)
    }

    private func solution(
        _ positions: [Int], lowerBound: Double, isOptimal: Bool
    ) -> Solution {
        let total = total(positions)
        return Solution(
            choices: zip(frontiers, positions).map { $0.items[$1].index }, cost: total.cost,
            loss: total.loss, lowerBound: min(lowerBound, total.loss), isOptimal: isOptimal)
    }

    private func total(_ positions: [Int]) -> (cost: Int, loss: Double) {
        zip(frontiers, positions).reduce((0, 0)) {
            let item = $1.0.items[$1.1]
            return ($0.0 + item.cost, $0.1 + item.loss)
        }
    }

    /// Spends what the relaxation left: first on the hull edges that still fit, in their order, then
    /// on whatever choice saves most, until nothing fits.
    private func filled(_ relaxed: Relaxation, budget: Int) -> [Int] {
        var positions = relaxed.positions
        var rest = budget - total(positions).cost
        for edge in relaxed.edges[relaxed.taken...]
        where edge.from == positions[edge.group] && edge.cost <= rest {
            positions[edge.group] = edge.to
            rest -= edge.cost
        }
        while let best = bestFilling(positions, rest) {
            rest -= frontiers[best.group].items[best.position].cost
            rest += frontiers[best.group].items[positions[best.group]].cost
            positions[best.group] = best.position
        }
        return positions
    }

    private func bestFilling(_ positions: [Int], _ rest: Int) -> (group: Int, position: Int)? {
        var best: (group: Int, position: Int)?
        var most = 0.0
        for (group, frontier) in frontiers.enumerated() {
            let now = frontier.items[positions[group]]
            // Losses fall along a frontier: the last item that fits saves most.
            guard
                let position = frontier.items.indices.last(where: {
                    frontier.items[$0].cost <= now.cost + rest
                }), now.loss - frontier.items[position].loss > most
            else { continue }
            most = now.loss - frontier.items[position].loss
            best = (group, position)
        }
        return best
    }
}

/// A knapsack without a solution.
package enum KnapsackError: Error, Equatable, CustomStringConvertible {
    /// The cheapest choice of every group together exceeds the budget.
    case infeasible(budget: Int, leastCost: Int)

    package var description: String {
        switch self {
        case .infeasible(let budget, let leastCost):
            "a budget of \(budget) is below the least possible cost, \(leastCost)"
        }
    }
}
