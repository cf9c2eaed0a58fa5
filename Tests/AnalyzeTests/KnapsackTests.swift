import Testing

@testable import Analyze

@Suite("Knapsack")
struct KnapsackTests {
    typealias Choice = Knapsack.Choice

    /// The least loss within a budget, by trying everything.
    func bruteForce(_ groups: [[Choice]], budget: Int) -> Double? {
        var sums: [(cost: Int, loss: Double)] = [(0, 0)]
        for group in groups {
            sums = sums.flatMap { sum in
                group.map { (sum.cost + $0.cost, sum.loss + $0.loss) }
            }
        }
        return sums.filter { $0.cost <= budget }.map(\.loss).min()
    }

    func check(
        _ solution: Knapsack.Solution, _ groups: [[Choice]], budget: Int,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let chosen = zip(groups, solution.choices).map { $0[$1] }
        #expect(solution.choices.count == groups.count, sourceLocation: sourceLocation)
        #expect(
            chosen.reduce(0) { $0 + $1.cost } == solution.cost, sourceLocation: sourceLocation)
        #expect(
            chosen.reduce(0) { $0 + $1.loss } == solution.loss, sourceLocation: sourceLocation)
        #expect(solution.cost <= budget, sourceLocation: sourceLocation)
        #expect(solution.lowerBound <= solution.loss, sourceLocation: sourceLocation)
    }

    /// Groups in which more cost mostly loses less, with dominated choices, ties and zeros.
    func instance(_ random: inout Random, groups: Int, choices: Int, costs: Int) -> [[Choice]] {
        (0..<groups).map { _ in
            let scale = Double.random(in: 0...1, using: &random)
            return (0..<Int.random(in: 1...choices, using: &random)).map { _ in
                let cost = Int.random(in: 0...costs, using: &random)
                let noise = Double.random(in: 0.5...1.5, using: &random)
                return Choice(
                    cost: cost,
                    loss: cost == costs ? 0 : scale * noise * Double(costs - cost) / Double(costs))
            }
        }
    }

    @Test("optimal on small instances, never above the budget, never below the bound")
    func bruteForceAgrees() throws {
        var random = Random(seed: 1)
        var infeasible = 0
        for round in 0..<600 {
            let groups = instance(
                &random, groups: Int.random(in: 1...6, using: &random), choices: 6,
                costs: round % 3 == 0 ? 7 : 1_000)
            let most = groups.reduce(0) { $0 + ($1.map(\.cost).max() ?? 0) }
            let budget = Int.random(in: 0...most, using: &random)
            let knapsack = Knapsack(groups)
            guard let best = bruteForce(groups, budget: budget) else {
                infeasible += 1
                #expect(
                    throws: KnapsackError.infeasible(
                        budget: budget, leastCost: knapsack.leastCost)
                ) { try knapsack.solve(budget: budget) }
                continue
            }
            let solution = try knapsack.solve(budget: budget)
            check(solution, groups, budget: budget)
            #expect(solution.isOptimal)
            #expect(abs(solution.loss - best) <= 1e-13 * max(1, best), "round \(round)")
            #expect(solution.lowerBound <= best + 1e-13 * max(1, best), "round \(round)")
        }
        #expect(infeasible > 5 && infeasible < 300)
    }

    @Test("losses in proportion to cost: only the sum of costs counts")
    func subsetSum() throws {
        var random = Random(seed: 2)
        for _ in 0..<100 {
            let groups = (0..<8).map { _ in
                (0..<3).map { _ in Int.random(in: 1...500, using: &random) }
                    .map { Choice(cost: $0, loss: Double(500 - $0)) }
            }
            let budget = Int.random(in: 1_000...3_500, using: &random)
            guard let best = bruteForce(groups, budget: budget) else { continue }
            let solution = try Knapsack(groups).solve(budget: budget)
            check(solution, groups, budget: budget)
            #expect(abs(solution.loss - best) < 1e-9)
        }
    }

    @Test(
        "64 layers of 7 matrices with 200 candidates, in well under a second",
        arguments: [false, true])
    func large(isRugged: Bool) throws {
        var random = Random(seed: 3)
        let groups = largeInstance(&random, isRugged: isRugged)
        let most = groups.reduce(0) { $0 + ($1.map(\.cost).max() ?? 0) }
        for share in [0.2, 0.35, 0.5, 0.65, 0.8, 0.95] {
            let budget = Int(share * Double(most))
            var solutions: [Knapsack.Solution] = []
            let time = try ContinuousClock().measure {
                solutions.append(try Knapsack(groups).solve(budget: budget))
            }
            let solution = try #require(solutions.first)
            check(solution, groups, budget: budget)
            print(
                "knapsack \(isRugged ? "rugged" : "smooth") \(share): loss \(solution.loss), gap \(solution.gap / solution.loss) of it, optimal \(solution.isOptimal), \(time)"
            )
            // The bound's distance: sixteen times as many states give the same solutions.
            #expect(solution.gap <= (isRugged ? 1e-3 : 1e-4) * solution.loss)
            #expect(time < .seconds(1))
            #expect(try Knapsack(groups).solve(budget: budget) == solution)
        }
    }

    /// The shapes of a 32B model; pivoted ranks; losses that fall smoothly with some noise, or in a
    /// rugged instance not at all for one matrix in five, unless it stays dense.
    func largeInstance(_ random: inout Random, isRugged: Bool) -> [[Choice]] {
        let shapes = [
            (8_192, 5_120), (1_024, 5_120), (1_024, 5_120), (5_120, 8_192), (25_600, 5_120),
            (25_600, 5_120), (5_120, 25_600),
        ]
        return (0..<64).flatMap { _ in
            shapes.map { rows, columns in
                let side = min(rows, columns)
                let scale = Double.random(in: 0.001...0.02, using: &random)
                let pace = Int.random(in: isRugged ? 0...4 : 1...5, using: &random)
                return [Choice(cost: rows * columns, loss: 0)]
                    + (1..<200).map { step in
                        let rank = side * step / 200
                        var loss = scale * Double.random(in: 0.99...1.01, using: &random)
                        for _ in 0..<pace { loss *= 1 - Double(step) / 200 }
                        return Choice(cost: rank * (rows + columns) - rank * rank, loss: loss)
                    }
            }
        }
    }

    @Test("a search that gives up stays within the budget and reports an honest gap")
    func hard() throws {
        // Costs of many digits in proportion to losses: far more sums than states.
        var random = Random(seed: 4)
        let groups = (0..<300).map { _ in
            (0..<20).map { _ in Int.random(in: 1...1 << 40, using: &random) }
                .map { Choice(cost: $0, loss: Double(1 << 41 - $0)) }
        }
        let budget = groups.reduce(0) { $0 + ($1.map(\.cost).max() ?? 0) } * 3 / 5
        var solutions: [Knapsack.Solution] = []
        let time = try ContinuousClock().measure {
            solutions.append(try Knapsack(groups).solve(budget: budget))
        }
        let solution = try #require(solutions.first)
        print("hard knapsack: gap \(solution.gap / solution.loss) of the loss, \(time)")
        check(solution, groups, budget: budget)
        #expect(solution.gap < 1e-6 * solution.loss)
        #expect(time < .seconds(5))
    }

    @Test("every budget from the least to the most: losses fall, and the ends are exact")
    func sweep() throws {
        var random = Random(seed: 5)
        let groups = instance(&random, groups: 12, choices: 10, costs: 40)
        let knapsack = Knapsack(groups)
        let most = groups.reduce(0) { $0 + ($1.map(\.cost).max() ?? 0) }
        var last = Double.infinity
        for budget in knapsack.leastCost...most {
            let solution = try knapsack.solve(budget: budget)
            check(solution, groups, budget: budget)
            #expect(solution.isOptimal && solution.loss <= last + 1e-13)
            last = solution.loss
        }
        let free = groups.reduce(0) { $0 + ($1.map(\.loss).min() ?? 0) }
        #expect(last == free)
        #expect(try knapsack.solve(budget: .max).gap == 0)
    }

    @Test("no group, one choice, equal choices")
    func edges() throws {
        #expect(try Knapsack([]).solve(budget: 0).choices.isEmpty)
        let twins = [[Choice(cost: 3, loss: 1), Choice(cost: 3, loss: 1)]]
        #expect(try Knapsack(twins).solve(budget: 3).choices == [0])
        #expect(throws: KnapsackError.infeasible(budget: 2, leastCost: 3)) {
            try Knapsack(twins).solve(budget: 2)
        }
        #expect(
            "\(KnapsackError.infeasible(budget: 2, leastCost: 3))".contains(
                "least possible cost, 3"))
        // Off the hull, and still the only choice that the rest of the budget buys.
        let concave = [
            [Choice(cost: 0, loss: 10), Choice(cost: 5, loss: 9), Choice(cost: 10, loss: 0)]
        ]
        #expect(try Knapsack(concave).solve(budget: 7).choices == [1])
    }
}
