import Artifacts
import TensorNetworks

/// Chooses a format for every matrix of a sensitivity map: the least predicted rise of the model's KL
/// divergence within a budget.
///
/// The prediction is the sum of what the matrices cost alone. The same map and budget give the same
/// plan, and where the knapsack is solved to the optimum a larger budget never gives a worse one.
package struct Planner: Sendable {
    package let map: SensitivityMap
    package let budget: PlanBudget
    /// What a budget in bytes is shared with; `keep` needs none.
    package var model: ModelRemainder?
    /// Low ranks that are not a multiple of this are left out, in sums of formats too; modes and
    /// ranks of other networks are as they are.
    package var rankMultiple: Int?
    /// How the plan's matrices are to be fitted, which it records.
    package var fit: FitSettings? = FitSettings()

    package init(_ map: SensitivityMap, within budget: PlanBudget) {
        self.map = map
        self.budget = budget
    }

    package func propose() throws(PlanError) -> PlanProposal {
        guard !map.matrices.isEmpty else { throw .emptyMap }
        do {
            try map.validate()
        } catch {
            throw .invalidMap(error)
        }
        if let rankMultiple, rankMultiple < 1 { throw .rankMultiple(rankMultiple) }
        let allowance = try budget.allowance(for: map, in: model)
        let choices = map.matrices.map(choices)
        let knapsack = Knapsack(
            choices.map { group in
                group.map { Knapsack.Choice(cost: $0.cost(allowance.unit), loss: $0.predictedKL) }
            })
        let solution: Knapsack.Solution
        do {
            solution = try knapsack.solve(budget: allowance.limit)
        } catch {
            switch error {
            case .infeasible(let limit, let least):
                throw .tooSmall(unit: allowance.unit, limit: limit, least: least)
            }
        }
        return PlanProposal(
            map: map, settings: settings(solution), fit: fit, allowance: allowance,
            choices: zip(choices, solution.choices).map { $0[$1] }, solution)
    }

    /// To stay dense, and then the candidates.
    private func choices(_ matrix: MatrixSensitivity) -> [PlanChoice] {
        let dense = matrix.rows * matrix.columns
        return [
            PlanChoice(
                format: .dense, parameters: dense,
                bytes: dense * matrix.elementType.byteCount, predictedKL: 0)
        ]
            + matrix.candidates.filter { isAllowed($0.format) }.map {
                PlanChoice(
                    format: $0.format, parameters: $0.parameters, bytes: $0.bytes,
                    predictedKL: $0.predictedKL)
            }
    }

    private func isAllowed(_ format: Format) -> Bool {
        guard let rankMultiple else { return true }
        switch format {
        case .lowRank(let rank), .pivotedLowRank(let rank):
            return rank.isMultiple(of: rankMultiple)
        case .mixture(let formats):
            return formats.allSatisfy(isAllowed)
        case .dense, .tucker, .tensorTrain, .tensorRing, .blockTerm, .pivoted:
            return true
        }
    }

    private func settings(_ solution: Knapsack.Solution) -> [String: JSONValue] {
        var settings: [String: JSONValue] = [
            "planner": .string("knapsack"),
            "budget": budget.settings,
            "predicted_kl": .number(solution.loss),
            "lower_bound": .number(solution.lowerBound),
        ]
        if let rankMultiple { settings["rank_multiple"] = .integer(rankMultiple) }
        return settings
    }
}
