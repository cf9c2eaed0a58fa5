// Heuristics that spend a budget over matrices without a model of what it buys: baselines for the planner.
import Artifacts
import Compress
import Foundation
import TensorNetworks
import Tensors

/// What a heuristic knows of a matrix.
struct RankedMatrix {
    let module: LinearModule
    let elementType: ElementType
    /// Squared singular values, descending: whitened for `spectralEnergy`, the weight's for `stableRank`.
    let energies: [Double]

    var size: Int { module.rows * module.columns }

    /// Σσ² / σ₁².
    var stableRank: Double {
        guard let largest = energies.first, largest > 0 else { return 1 }
        return energies.reduce(0, +) / largest
    }

    /// The least rank that keeps this share of the energy.
    func rank(keeping share: Double) -> Int {
        let wanted = share * energies.reduce(0, +)
        var sum = 0.0
        for (index, energy) in energies.enumerated() {
            sum += energy
            if sum >= wanted { return index + 1 }
        }
        return energies.count
    }

    /// Pivoted low rank, its rank rounded up to what kernels want; dense where that is no larger.
    func format(rank: Int) -> Format {
        let multiple = CompressionPlan.rankMultiple(energies.count)
        let rounded = min(energies.count, (max(1, rank) + multiple - 1) / multiple * multiple)
        return rounded * (module.rows + module.columns - rounded) < size
            ? .pivotedLowRank(rank: rounded) : .dense
    }

    /// The largest pivoted low rank within a share of the matrix's own values.
    func format(share: Double) -> Format {
        guard share < 1 else { return .dense }
        return Format.fitting(
            .pivotedLowRank, rows: module.rows, columns: module.columns,
            parameters: Int(share * Double(size)),
            rankMultiple: CompressionPlan.rankMultiple(energies.count))
            ?? format(rank: 1)
    }
}

enum RankAllocation {
    /// The same share of every matrix's energy is kept, as large as the budget allows.
    static func spectralEnergy(_ matrices: [RankedMatrix], budget: Int) -> [Format]? {
        // Shares are near 1, where what matters is how much is lost.
        largest(budget, matrices, 0...40) { halvings in
            let kept = 1 - exp2(-halvings)
            return matrices.map { $0.format(rank: $0.rank(keeping: kept)) }
        }
    }

    /// Every matrix keeps a share of its values in proportion to its stable rank; at most all of them.
    static func stableRank(_ matrices: [RankedMatrix], budget: Int) -> [Format]? {
        let most = matrices.map(\.stableRank).min() ?? 1
        return largest(budget, matrices, 0...1 / most) { factor in
            matrices.map { $0.format(share: factor * $0.stableRank) }
        }
    }

    /// The formats of the largest value in `range` that fit the budget, of formats that grow with it.
    private static func largest(
        _ budget: Int, _ matrices: [RankedMatrix], _ range: ClosedRange<Double>,
        _ formats: (Double) -> [Format]
    ) -> [Format]? {
        func fits(_ formats: [Format]) -> Bool {
            let sizes = zip(matrices, formats).map { matrix, format in
                (try? format.parameterCount(
                    rows: matrix.module.rows, columns: matrix.module.columns)) ?? matrix.size
            }
            return sizes.reduce(0, +) <= budget
        }
        var (low, high) = (range.lowerBound, range.upperBound)
        guard fits(formats(low)) else { return nil }
        if fits(formats(high)) { return formats(high) }
        for _ in 0..<60 {
            let middle = (low + high) / 2
            if fits(formats(middle)) { low = middle } else { high = middle }
        }
        return formats(low)
    }
}
