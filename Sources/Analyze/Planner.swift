import Artifacts
import TensorNetworks
import Tensors

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
    /// What values are stored as, instead of the map's types: bytes are counted so.
    package var weights: ElementType?
    /// What a decode step takes, and may take.
    package var decode: DecodeGoal?
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
        if let rate = decode?.tokensPerSecond, !(rate > 0 && rate.isFinite) {
            throw .decodeRate(rate)
        }
        let allowance = try budget.allowance(for: map, in: model)
        var choices: [[PlanChoice]] = []
        for matrix in map.matrices { choices.append(try self.choices(matrix)) }
        let solution = try solution(of: choices, allowance)
        return PlanProposal(
            map: map, settings: settings(solution), fit: fit, weights: weights,
            allowance: allowance,
            choices: zip(choices, solution.choices).map { $0[$1] }, solution,
            otherSeconds: decode?.time.otherSeconds)
    }

    private func solution(
        of choices: [[PlanChoice]], _ allowance: LinearAllowance
    ) throws(PlanError) -> Knapsack.Solution {
        let knapsack = TimedKnapsack(
            choices.map { group in
                group.map {
                    TimedKnapsack.Choice(
                        cost: $0.cost(allowance.unit), loss: $0.predictedKL,
                        seconds: $0.seconds ?? 0)
                }
            })
        do {
            return try knapsack.solve(
                budget: allowance.limit, seconds: decode?.linearSeconds ?? .infinity)
        } catch {
            switch error {
            case .knapsack(.infeasible(let limit, let least)):
                throw .tooSmall(unit: allowance.unit, limit: limit, least: least)
            case .tooSlow(let least):
                guard let decode, let wanted = decode.tokensPerSecond else {
                    preconditionFailure("without a limit nothing is too slow")
                }
                throw .tooSlow(
                    wanted: wanted, reachable: 1 / (least + decode.time.otherSeconds),
                    other: decode.time.otherSeconds)
            }
        }
    }

    /// To stay dense, and then the candidates.
    private func choices(_ matrix: MatrixSensitivity) throws(PlanError) -> [PlanChoice] {
        let dense = matrix.rows * matrix.columns
        var choices = [
            PlanChoice(
                format: .dense, parameters: dense, bytes: try bytes(.dense, matrix), predictedKL: 0,
                seconds: try decode?.time.seconds(.dense, values: dense))
        ]
        for candidate in matrix.candidates where isAllowed(candidate.format) {
            choices.append(
                PlanChoice(
                    format: candidate.format, parameters: candidate.parameters,
                    bytes: weights == nil ? candidate.bytes : try bytes(candidate.format, matrix),
                    predictedKL: candidate.predictedKL,
                    seconds: try decode?.time.seconds(
                        candidate.format, values: candidate.parameters)))
        }
        return choices
    }

    private func bytes(_ format: Format, _ matrix: MatrixSensitivity) throws(PlanError) -> Int {
        do {
            return try format.byteCount(
                rows: matrix.rows, columns: matrix.columns, as: weights ?? matrix.elementType)
        } catch {
            throw .invalidMap(.format(error, matrix: matrix.name))
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
        if let weights { settings["weights"] = .string(weights.rawValue) }
        if let rankMultiple { settings["rank_multiple"] = .integer(rankMultiple) }
        if let decode, let rate = decode.tokensPerSecond {
            settings["decode"] = .object([
                "tokens_per_second": .number(rate), "context": .integer(decode.time.context),
                "concurrency": .integer(decode.time.sequences),
            ])
        }
        return settings
    }
}
