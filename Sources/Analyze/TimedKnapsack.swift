// A knapsack with a second budget, time, by Lagrangian relaxation.
//
// For a price λ ≥ 0 of time the plain knapsack with losses loss + λ·seconds has a lower bound L(λ), and
// L(λ) − λ·limit is a lower bound of every solution within both budgets. The larger λ, the less time a
// solution takes: bisection finds the least price that keeps the limit. What is left of both budgets then
// buys single better choices. Fisher: The Lagrangian Relaxation Method, Management Science 27 (1981).

import Foundation

/// A knapsack of groups whose choices also take time.
package struct TimedKnapsack: Sendable {
    package struct Choice: Hashable, Sendable {
        package let cost: Int
        package let loss: Double
        /// 0 or more.
        package let seconds: Double

        package init(cost: Int, loss: Double, seconds: Double) {
            self.cost = cost
            self.loss = loss
            self.seconds = seconds
        }
    }

    /// Halvings of the price's logarithm, after which prices differ by less than a thousandth.
    private static let bisections = 20
    /// Prices are tried from 2 to this power below the first guess to as much above it.
    private static let octaves = 24.0

    private let groups: [[Choice]]

    /// - Parameter groups: as `Knapsack` takes them.
    package init(_ groups: [[Choice]]) {
        for group in groups {
            precondition(
                group.allSatisfy { $0.seconds >= 0 && $0.seconds.isFinite },
                "a choice takes no time or some")
        }
        self.groups = groups
    }

    /// - Parameters:
    ///   - budget: what the choices cost together, at most.
    ///   - limit: what they take together, at most, in seconds.
    package func solve(
        budget: Int, seconds limit: Double
    ) throws(TimedKnapsackError) -> Knapsack.Solution {
        let free = try solution(price: 0, budget)
        guard seconds(free.choices) > limit else { return free }
        let fastest = try fastest(budget)
        guard seconds(fastest) <= limit else { throw .tooSlow(least: seconds(fastest)) }
        var best = fastest
        var bound = free.lowerBound
        // The price at which the time saved by the fastest choices pays for what they lose.
        let span = seconds(free.choices) - seconds(fastest)
        let guess = max(loss(fastest) - free.loss, Double.leastNormalMagnitude) / span
        var (low, high) = (-Self.octaves, Self.octaves)
        for _ in 0..<Self.bisections {
            let middle = (low + high) / 2
            let price = guess * exp2(middle)
            let found = try solution(price: price, budget)
            bound = max(bound, found.lowerBound - price * limit)
            if seconds(found.choices) <= limit {
                high = middle
                if loss(found.choices) < loss(best) { best = found.choices }
            } else {
                low = middle
            }
        }
        let choices = filled(best, budget, limit)
        let total = loss(choices)
        return Knapsack.Solution(
            choices: choices, cost: cost(choices), loss: total, lowerBound: min(bound, total),
            isOptimal: total <= bound + 1e-14 * abs(bound))
    }

    private func solution(
        price: Double, _ budget: Int
    ) throws(TimedKnapsackError) -> Knapsack.Solution {
        try solved(budget) { $0.loss + price * $0.seconds }
    }

    private func fastest(_ budget: Int) throws(TimedKnapsackError) -> [Int] {
        try solved(budget, losing: \.seconds).choices
    }

    private func solved(
        _ budget: Int, losing loss: (Choice) -> Double
    ) throws(TimedKnapsackError) -> Knapsack.Solution {
        let knapsack = Knapsack(
            groups.map { $0.map { Knapsack.Choice(cost: $0.cost, loss: loss($0)) } })
        do {
            return try knapsack.solve(budget: budget)
        } catch {
            throw .knapsack(error)
        }
    }

    /// Takes the single exchange that saves most, over and over, while one fits both budgets.
    private func filled(_ start: [Int], _ budget: Int, _ limit: Double) -> [Int] {
        var choices = start
        while true {
            let (cost, seconds) = (cost(choices), seconds(choices))
            var best: (group: Int, choice: Int, saved: Double)?
            for (group, place) in choices.enumerated() {
                let now = groups[group][place]
                for (index, other) in groups[group].enumerated()
                where now.loss - other.loss > best?.saved ?? 0
                    && cost - now.cost + other.cost <= budget
                    && seconds - now.seconds + other.seconds <= limit
                {
                    best = (group, index, now.loss - other.loss)
                }
            }
            guard let best else { return choices }
            choices[best.group] = best.choice
        }
    }

    private func loss(_ choices: [Int]) -> Double { sum(choices, \.loss) }
    private func seconds(_ choices: [Int]) -> Double { sum(choices, \.seconds) }
    private func cost(_ choices: [Int]) -> Int {
        zip(groups, choices).reduce(0) { $0 + $1.0[$1.1].cost }
    }

    private func sum(_ choices: [Int], _ value: (Choice) -> Double) -> Double {
        zip(groups, choices).reduce(0) { $0 + value($1.0[$1.1]) }
    }
}

/// A knapsack that has no solution within both budgets, or none that was found.
package enum TimedKnapsackError: Error, Equatable {
    case knapsack(KnapsackError)
    /// What the fastest choices within the budget take together.
    case tooSlow(least: Double)
}
