/// The choices of a group that no other one dominates: costs rise and losses fall.
struct Frontier: Sendable {
    struct Item: Sendable {
        let cost: Int
        let loss: Double
        /// The place of the choice in its group.
        let index: Int
    }

    let items: [Item]
    /// Places in `items` of the lower convex hull; savings per unit of cost strictly fall along it.
    let hull: [Int]

    init(_ group: [Knapsack.Choice]) {
        let sorted = group.enumerated().sorted {
            ($0.element.cost, $0.element.loss, $0.offset)
                < ($1.element.cost, $1.element.loss, $1.offset)
        }
        var items: [Item] = []
        for (index, choice) in sorted where items.last.map({ choice.loss < $0.loss }) ?? true {
            items.append(Item(cost: choice.cost, loss: choice.loss, index: index))
        }
        var hull: [Int] = []
        for next in items.indices {
            while hull.count >= 2,
                Self.efficiency(items[hull[hull.count - 2]], items[hull[hull.count - 1]])
                    <= Self.efficiency(items[hull[hull.count - 1]], items[next])
            {
                hull.removeLast()
            }
            hull.append(next)
        }
        (self.items, self.hull) = (items, hull)
    }

    /// Loss saved per unit of cost.
    static func efficiency(_ from: Item, _ to: Item) -> Double {
        (from.loss - to.loss) / Double(to.cost - from.cost)
    }
}

/// The knapsack that may mix two choices of a group, solved.
struct Relaxation {
    struct Edge {
        let group: Int
        /// Places in the group's frontier.
        let from: Int
        let to: Int
        let cost: Int
        let efficiency: Double
    }

    /// Every hull edge, best first.
    let edges: [Edge]
    /// How many of them fit one after the other.
    let taken: Int
    /// Per group, the place in its frontier that they lead to.
    let positions: [Int]
    /// Loss saved per unit of cost by the first edge that did not fit; `nil` where all did.
    var price: Double? { taken < edges.count ? edges[taken].efficiency : nil }

    init(_ frontiers: [Frontier], budget: Int) {
        var edges: [Edge] = []
        for (group, frontier) in frontiers.enumerated() {
            for (from, to) in zip(frontier.hull, frontier.hull.dropFirst()) {
                let (low, high) = (frontier.items[from], frontier.items[to])
                edges.append(
                    Edge(
                        group: group, from: from, to: to, cost: high.cost - low.cost,
                        efficiency: Frontier.efficiency(low, high)))
            }
        }
        // Efficiencies strictly fall along a hull, so that the edges of a group stay in order.
        edges.sort {
            $0.efficiency != $1.efficiency
                ? $0.efficiency > $1.efficiency : ($0.group, $0.from) < ($1.group, $1.from)
        }
        var positions = frontiers.map { _ in 0 }
        var rest = frontiers.reduce(budget) { $0 - $1.items[0].cost }
        var taken = 0
        while taken < edges.count, edges[taken].cost <= rest {
            positions[edges[taken].group] = edges[taken].to
            rest -= edges[taken].cost
            taken += 1
        }
        (self.edges, self.taken, self.positions) = (edges, taken, positions)
    }
}
