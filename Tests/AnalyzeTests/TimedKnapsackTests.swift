import Testing

@testable import Analyze

@Suite("TimedKnapsack")
struct TimedKnapsackTests {
    private struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 11 | state << 53
        }
    }

    private func groups(_ random: inout Random) -> [[TimedKnapsack.Choice]] {
        (0..<5).map { _ in
            (0..<4).map { _ in
                TimedKnapsack.Choice(
                    cost: Int.random(in: 0...20, using: &random),
                    loss: Double.random(in: 0...1, using: &random),
                    seconds: Double.random(in: 0...1, using: &random))
            }
        }
    }

    /// The least loss of all combinations within both budgets.
    private func optimum(
        _ groups: [[TimedKnapsack.Choice]], _ budget: Int, _ seconds: Double
    ) -> Double? {
        var partial = [(0, 0.0, 0.0)]
        for group in groups {
            partial = partial.flatMap { sum in
                group.map { (sum.0 + $0.cost, sum.1 + $0.loss, sum.2 + $0.seconds) }
            }
        }
        return partial.filter { $0.0 <= budget && $0.2 <= seconds }.map(\.1).min()
    }

    @Test("solutions keep both budgets and lie between the bound and the optimum's neighbourhood")
    func bruteForce() throws {
        var random = Random(state: 5)
        var (solved, optimal, excess) = (0, 0, 0.0)
        for _ in 0..<200 {
            let groups = groups(&random)
            let (budget, limit) = (
                Int.random(in: 15...70, using: &random), Double.random(in: 0.8...3, using: &random)
            )
            guard let best = optimum(groups, budget, limit) else {
                #expect(throws: TimedKnapsackError.self) {
                    try TimedKnapsack(groups).solve(budget: budget, seconds: limit)
                }
                continue
            }
            // Both budgets can be so tight that the fastest choices within the one are not within the other.
            guard
                let found = try? TimedKnapsack(groups).solve(budget: budget, seconds: limit)
            else { continue }
            let chosen = zip(groups, found.choices).map { $0[$1] }
            #expect(chosen.reduce(0) { $0 + $1.cost } <= budget)
            #expect(chosen.reduce(0) { $0 + $1.seconds } <= limit)
            let loss = chosen.reduce(0) { $0 + $1.loss }
            #expect(abs(loss - found.loss) < 1e-12)
            #expect(found.lowerBound <= best + 1e-9)
            #expect(best <= found.loss + 1e-12)
            if found.isOptimal { #expect(abs(found.loss - best) < 1e-9) }
            solved += 1
            optimal += found.loss < best + 1e-9 ? 1 : 0
            excess += found.loss - best
        }
        #expect(solved > 100)
        #expect(Double(optimal) > 0.6 * Double(solved), "\(optimal) of \(solved)")
        #expect(excess / Double(solved) < 0.06, "\(excess / Double(solved))")
    }

    @Test("with many groups the bound is close")
    func gap() throws {
        var random = Random(state: 8)
        let many = (0..<12).flatMap { _ in groups(&random) }
        let found = try TimedKnapsack(many).solve(budget: 400, seconds: 20)
        #expect(found.loss - found.lowerBound < 0.02 * found.loss + 0.05)
    }

    @Test("time without a limit changes nothing; one that cannot be kept says what can")
    func limits() throws {
        var random = Random(state: 11)
        let groups = groups(&random)
        let free = try TimedKnapsack(groups).solve(budget: 60, seconds: .infinity)
        let plain = try Knapsack(groups.map { $0.map { .init(cost: $0.cost, loss: $0.loss) } })
            .solve(budget: 60)
        #expect(free == plain)
        let least = groups.reduce(0.0) { $0 + ($1.map(\.seconds).min() ?? 0) }
        #expect(throws: TimedKnapsackError.tooSlow(least: least)) {
            try TimedKnapsack(groups).solve(budget: 1_000, seconds: least / 2)
        }
        #expect(throws: TimedKnapsackError.knapsack(.infeasible(budget: -1, leastCost: 0))) {
            try TimedKnapsack([[.init(cost: 0, loss: 0, seconds: 0)]]).solve(
                budget: -1, seconds: 1)
        }
    }
}
