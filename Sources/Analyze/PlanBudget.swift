import Artifacts

/// What a compressed model may take.
package enum PlanBudget: Hashable, Sendable {
    /// This share of the linear layers' parameters, above 0 and at most 1.
    case keep(Double)
    /// All tensors of the checkpoint together, in bytes; file headers, configuration and tokenizer
    /// are not counted.
    case bytes(Int)
    /// All that a GPU holds while the model runs, in bytes: the tensors, and a `MemoryNeed` for
    /// `concurrency` sequences of `context` tokens each.
    case memory(bytes: Int, context: Int, concurrency: Int)

    /// What is left for the linear layers of a map.
    /// - Parameter model: needed by all budgets but `keep`.
    package func allowance(
        for map: SensitivityMap, in model: ModelRemainder?
    ) throws(PlanError) -> LinearAllowance {
        switch self {
        case .keep(let share):
            guard share > 0, share <= 1 else { throw .keep(share) }
            let all = map.parameterCount
            // At most 2^55; above 2^53 the product is rounded, and must not exceed what there is.
            return LinearAllowance(
                unit: .parameters, limit: min(all, Int(share * Double(all))), need: nil)
        case .bytes(let budget):
            guard let model else { throw .needsModel }
            return try Self.rest(of: budget, without: [model.otherBytes])
        case .memory(let budget, let context, let concurrency):
            guard let model else { throw .needsModel }
            let need = try MemoryNeed(
                model.configuration, context: context, concurrency: concurrency)
            return try Self.rest(
                of: budget,
                without: [model.otherBytes, need.keyValueBytes, need.workingBytes], need)
        }
    }

    private static func rest(
        of budget: Int, without others: [Int], _ need: MemoryNeed? = nil
    ) throws(PlanError) -> LinearAllowance {
        var taken = 0
        for bytes in others {
            let (sum, overflow) = taken.addingReportingOverflow(bytes)
            taken = overflow ? Int.max : sum
        }
        guard taken < budget else { throw .noRoom(budget: budget, others: taken) }
        return LinearAllowance(unit: .bytes, limit: budget - taken, need: need)
    }

    /// As plans record it.
    package var settings: JSONValue {
        switch self {
        case .keep(let share):
            .object(["keep": .number(share)])
        case .bytes(let bytes):
            .object(["bytes": .integer(bytes)])
        case .memory(let bytes, let context, let concurrency):
            .object([
                "memory_bytes": .integer(bytes), "context": .integer(context),
                "concurrency": .integer(concurrency),
            ])
        }
    }
}

/// What the linear layers may take.
package struct LinearAllowance: Hashable, Sendable {
    package enum Unit: String, Sendable {
        case parameters, bytes
    }

    package let unit: Unit
    package let limit: Int
    /// What a budget of memory was shared with.
    package let need: MemoryNeed?
}
