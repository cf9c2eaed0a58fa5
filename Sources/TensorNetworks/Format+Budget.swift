// The largest ranks that a number of parameters buys.

extension Format {
    /// The largest format of `kind` that holds a `[rows, columns]` matrix in at most `budget` values.
    ///
    /// - Low rank and pivoted low rank: the largest rank.
    /// - Tensor train and ring: one rank for all bonds (never above what a bond can use), then single
    ///   bonds grown while they fit.
    /// - Tucker: ranks in proportion to the modes, then single ones grown while they fit.
    /// - Block term: two terms of half the budget each.
    /// - The pivoted ones alike: what their identities free buys rank.
    /// - Mixture: pivoted low rank with a share of the budget, a pivoted train with what that leaves.
    ///
    /// - Parameters:
    ///   - rankMultiple: every rank is a multiple of it, or all that its bond can use.
    ///   - modes: how the matrix is cut; `nil`: into `modeCount` balanced modes on each side.
    ///   - lowRankShare: the low-rank term's share of a mixture. On the shipped model's matrices the error
    ///     is within 4% of its least from 0.5 to 0.8, at budgets of 0.4 and 0.65.
    /// - Returns: `nil` where not even the smallest format of the kind fits.
    package static func fitting(
        _ kind: Kind, rows: Int, columns: Int, parameters budget: Int, rankMultiple: Int = 1,
        modeCount: Int = 2, modes: TensorModes? = nil, lowRankShare: Double = 0.65
    ) -> Format? {
        let search = RankSearch(
            rows: rows, columns: columns, budget: budget, multiple: max(1, rankMultiple),
            modes: modes ?? .factoring(rows: rows, columns: columns, count: modeCount))
        switch kind {
        case .dense: return rows * columns <= budget ? .dense : nil
        case .lowRank: return search.lowRank { .lowRank(rank: $0) }
        case .pivotedLowRank: return search.lowRank { .pivotedLowRank(rank: $0) }
        case .tensorTrain: return search.train { $0 }
        case .tensorRing: return search.ring { $0 }
        case .tucker: return search.tucker { .tucker(search.modes, ranks: $0) }
        case .blockTerm: return search.blockTerm { $0 }
        case .pivotedTensorTrain: return search.train { .pivoted($0) }
        case .pivotedTensorRing: return search.ring { .pivoted($0) }
        case .pivotedTucker: return search.tucker { .pivoted(.tucker(search.modes, ranks: $0)) }
        case .pivotedBlockTerm: return search.blockTerm { .pivoted($0) }
        case .mixture: return search.mixture(lowRankShare: lowRankShare)
        }
    }
}

/// Finds the largest ranks under a budget.
private struct RankSearch {
    let rows: Int
    let columns: Int
    var budget: Int
    let multiple: Int
    let modes: TensorModes

    func parameters(of format: Format) -> Int? {
        try? format.parameterCount(rows: rows, columns: columns)
    }

    func fits(_ format: Format) -> Bool {
        parameters(of: format).map { $0 <= budget } ?? false
    }

    func lowRank(_ format: (Int) -> Format) -> Format? {
        largest([min(rows, columns)]) { format($0[0]) }
    }

    func train(_ form: (Format) -> Format) -> Format? {
        let limits = (0..<modes.output.count - 1).map { modes.largestRank(after: $0) }
        return largest(limits) { form(.tensorTrain(modes, ranks: $0)) }
    }

    func blockTerm(_ form: (Format) -> Format) -> Format? {
        tucker { form(.blockTerm(modes, ranks: $0, terms: 2)) }
    }

    func mixture(lowRankShare: Double) -> Format? {
        var (first, rest) = (self, self)
        first.budget = Int(lowRankShare * Double(budget))
        guard let lowRank = first.lowRank({ .pivotedLowRank(rank: $0) }),
            let used = parameters(of: lowRank)
        else { return nil }
        rest.budget = budget - used
        return rest.train { .pivoted($0) }.map { .mixture([lowRank, $0]) }
    }

    /// A ring's size goes with products of ranks, so equal ranks may leave a tenth of the budget: the
    /// first rank may be up to three steps smaller where a larger last one then uses more of it.
    func ring(_ form: (Format) -> Format) -> Format? {
        let limit = min(modes.rows, modes.columns)
        func format(_ ranks: [Int]) -> Format { form(.tensorRing(modes, ranks: ranks)) }
        guard
            case .tensorRing(_, let even)? =
                largest(modes.output.map { _ in limit }, format)?.unpivoted
        else { return nil }
        var (best, most) = (even, parameters(of: format(even)) ?? 0)
        for drop in 1...3 where even[0] > drop * multiple && even.count > 1 {
            var ranks = even
            ranks[0] -= drop * multiple
            let last = ranks.count - 1
            while ranks[last] + multiple <= limit {
                var larger = ranks
                larger[last] += multiple
                guard fits(format(larger)) else { break }
                ranks = larger
            }
            if let used = parameters(of: format(ranks)), used > most {
                (best, most) = (ranks, used)
            }
        }
        return format(best)
    }

    /// Equal ranks, as large as fit, then single ones one step larger.
    func largest(_ limits: [Int], _ format: ([Int]) -> Format) -> Format? {
        let top = (limits.max() ?? 1) / multiple + 1
        func ranks(_ steps: Int) -> [Int] { limits.map { min($0, steps * multiple) } }
        guard let steps = last(1...max(1, top), where: { fits(format(ranks($0))) }) else {
            return nil
        }
        return grown(ranks(steps), limits, format)
    }

    /// Ranks in proportion to the modes, as large as fit, then single ones one step larger.
    func tucker(_ format: ([Int]) -> Format) -> Format? {
        let limits = modes.output + modes.input
        let parts = 1024
        func ranks(_ share: Int) -> [Int] {
            limits.map { limit in
                min(limit, max(multiple, limit * share / parts / multiple * multiple))
            }
        }
        guard let share = last(1...parts, where: { fits(format(ranks($0))) }) else { return nil }
        return grown(ranks(share), limits, format)
    }

    /// Grows the rank that is smallest for its limit, over and over, while anything fits.
    private func grown(_ start: [Int], _ limits: [Int], _ format: ([Int]) -> Format) -> Format {
        var ranks = start
        var isGrowing = true
        while isGrowing {
            isGrowing = false
            let order = ranks.indices.sorted {
                (Double(ranks[$0]) / Double(limits[$0]), $0)
                    < (Double(ranks[$1]) / Double(limits[$1]), $1)
            }
            for index in order where ranks[index] < limits[index] {
                var larger = ranks
                larger[index] = min(limits[index], larger[index] + multiple)
                guard fits(format(larger)) else { continue }
                ranks = larger
                isGrowing = true
                break
            }
        }
        return format(ranks)
    }

    /// The last number of a range for which a condition holds that holds up to some point.
    private func last(_ range: ClosedRange<Int>, where holds: (Int) -> Bool) -> Int? {
        guard holds(range.lowerBound) else { return nil }
        // A pivoted network of full rank may be smaller than one of half the rank.
        if holds(range.upperBound) { return range.upperBound }
        var (good, bad) = (range.lowerBound, range.upperBound + 1)
        while bad - good > 1 {
            let middle = (good + bad) / 2
            if holds(middle) { good = middle } else { bad = middle }
        }
        return good
    }
}
