import Artifacts
import TensorNetworks
import Tensors

/// What one matrix is to become.
package struct PlanChoice: Hashable, Sendable {
    package let format: Format
    /// Values that are stored.
    package let parameters: Int
    package let bytes: Int
    /// In nats per token, for this matrix alone.
    package let predictedKL: Double
    /// What applying it takes in a decode step, where times are known.
    package let seconds: Double?

    func cost(_ unit: LinearAllowance.Unit) -> Int {
        switch unit {
        case .parameters: parameters
        case .bytes: bytes
        }
    }
}

/// A plan, and what it is expected to do.
package struct PlanProposal: Sendable {
    package let plan: CompressionPlan
    /// What the linear layers were allowed.
    package let allowance: LinearAllowance
    /// One per matrix, in the map's order.
    package let choices: [PlanChoice]
    /// Sum of the choices' predictions, in nats per token.
    package let predictedKL: Double
    /// No plan within the budget is predicted to cost less.
    package let lowerBound: Double
    /// Whether the search has proved that no plan within the budget is better.
    package let isOptimal: Bool

    /// A decode step with all choices, where times are known.
    package let stepSeconds: Double?

    init(
        map: SensitivityMap, settings: [String: JSONValue], fit: FitSettings?,
        weights: ElementType?, allowance: LinearAllowance,
        choices: [PlanChoice], _ solution: Knapsack.Solution, otherSeconds: Double?
    ) {
        stepSeconds = otherSeconds.map { other in
            choices.reduce(other) { $0 + ($1.seconds ?? 0) }
        }
        self.allowance = allowance
        self.choices = choices
        predictedKL = solution.loss
        lowerBound = solution.lowerBound
        isOptimal = solution.isOptimal
        plan = CompressionPlan(
            source: map.source, settings: settings, fit: fit,
            matrices: Self.matrices(map, choices, weights))
    }

    private static func matrices(
        _ map: SensitivityMap, _ choices: [PlanChoice], _ weights: ElementType?
    ) -> [MatrixPlan] {
        map.matricesByName.map { patches in
            let plans = patches.indices.map { index in
                let patch = map.matrices[index]
                let whole = MatrixRegion(rows: 0..<patch.rows, columns: 0..<patch.columns)
                return PatchPlan(
                    patch.region ?? whole, choices[index].format, as: weights ?? patch.elementType)
            }
            let regions = plans.map(\.region)
            return MatrixPlan(
                name: map.matrices[patches.startIndex].name,
                rows: regions.map(\.rows.upperBound).max() ?? 0,
                columns: regions.map(\.columns.upperBound).max() ?? 0, patches: plans)
        }
    }

    /// Values that the linear layers take.
    package var parameterCount: Int { choices.reduce(0) { $0 + $1.parameters } }
    /// Bytes that the linear layers take.
    package var byteCount: Int { choices.reduce(0) { $0 + $1.bytes } }
}
