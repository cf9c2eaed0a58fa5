// What every format of one matrix would cost.
//
// To second order the rise of the model's KL divergence is ½·E‖g·(W − Ŵ)x‖² = ½·tr(G E A Eᵀ), with A the
// moment of a layer's input and G that of the loss's gradient by its output (K-FAC, Martens & Grosse 2015,
// arXiv 1503.05671). In the norm of A and G a matrix has singular values, and what rank k costs is half
// the energy behind the k-th: one eigenproblem per matrix prices all of its ranks. Other networks have no
// closed form; each is fitted to be priced.
import Artifacts
import Foundation
import TensorNetworks
import Tensors

struct MatrixPricer {
    /// Formats beside pivoted low rank, of each of which a few sizes are fitted.
    var formats: [Format.Kind] = []
    /// The sizes that are fitted, as shares of the matrix's parameters.
    static let fittedSizes = [0.85, 0.65, 0.45, 0.25]
    /// Those that become candidates, with prices interpolated.
    static let sizes = stride(from: 0.85, to: 0.24, by: -0.05)
    /// Few, and what the hundred of the final fit leave of the error: measured over the shipped model's
    /// matrices, 0.71 to 0.88.
    static let options = FitOptions(iterations: 15)
    static let remainder = 0.8

    /// - Parameters:
    ///   - name: of the matrix.
    ///   - region: of the patch that `weight` is; `nil` for the whole matrix.
    ///   - weight: `[rows, columns]`.
    ///   - type: what the values are stored as.
    ///   - input: A of the patch's columns.
    ///   - output: G of its rows.
    func price(
        _ name: String, region: MatrixRegion?, _ weight: Tensor, as type: ElementType,
        _ input: SecondMoment, _ output: SecondMoment
    ) throws -> MatrixSensitivity {
        let objective = try FitObjective(weight: weight, moment: input, output: output)
        let energies = try WeightedSpectrum.energies(of: objective)
        // The moments were scaled to a mean diagonal of 1.
        let scale = 0.5 * input.scale * output.scale
        let lowRank = try lowRanks(objective, energies, scale, type)
        let others = try networks(objective, scale, type)
        let sum = energies.reduce(0, +)
        let shares = sum > 0 ? energies.map { $0 / sum } : energies
        return MatrixSensitivity(
            name: name, region: region, rows: objective.rows, columns: objective.columns,
            elementType: type, score: 0,
            entropy: shares.reduce(0) { $0 - ($1 > 0 ? $1 * log($1) : 0) },
            spectrum: Self.samples(of: shares), candidates: lowRank + others)
    }

    private func lowRanks(
        _ objective: FitObjective, _ energies: [Double], _ scale: Double, _ type: ElementType
    ) throws -> [Candidate] {
        var behind = energies.reduce(0, +)
        var candidates: [Candidate] = []
        let step = Self.rankStep(energies.count)
        for (index, energy) in energies.enumerated() {
            behind = max(0, behind - energy)
            let rank = index + 1
            guard rank.isMultiple(of: step) else { continue }
            let candidate = try Candidate(
                .pivotedLowRank(rank: rank), rows: objective.rows, columns: objective.columns,
                as: type, predictedKL: scale * behind)
            guard candidate.parameters < objective.rows * objective.columns else { break }
            candidates.append(candidate)
        }
        return candidates
    }

    private func networks(
        _ objective: FitObjective, _ scale: Double, _ type: ElementType
    ) throws -> [Candidate] {
        let (rows, columns) = (objective.rows, objective.columns)
        func format(_ kind: Format.Kind, _ size: Double) -> Format? {
            Format.fitting(
                kind, rows: rows, columns: columns,
                parameters: Int(size * Double(rows * columns)),
                rankMultiple: Self.rankStep(min(rows, columns)))
        }
        var candidates: [Candidate] = []
        for kind in formats {
            var fitted: [FittedPrices.Point] = []
            for size in Self.fittedSizes {
                guard let format = format(kind, size) else { continue }
                let error = try Factorization.fit(
                    objective, format: format, options: Self.options
                ).relativeError
                fitted.append(
                    FittedPrices.Point(
                        parameters: try format.parameterCount(rows: rows, columns: columns),
                        price: scale * objective.energy * error * Self.remainder))
            }
            let curve = FittedPrices(fitted)
            for size in Self.sizes {
                guard let format = format(kind, size),
                    !candidates.contains(where: { $0.format == format }),
                    let price = curve.price(
                        at: try format.parameterCount(rows: rows, columns: columns))
                else { continue }
                candidates.append(
                    try Candidate(
                        format, rows: rows, columns: columns, as: type, predictedKL: price))
            }
        }
        return candidates
    }

    /// Ranks are multiples of 16, which tensor cores and 16-byte loads want; finer on small matrices,
    /// where that would be too coarse to spend a budget on.
    static func rankStep(_ smallerSide: Int) -> Int {
        smallerSide >= 1_024 ? 16 : max(1, smallerSide / 128)
    }

    private static func samples(of values: [Double]) -> [Double] {
        let count = min(values.count, MatrixSensitivity.mostSamples)
        return (0..<count).map { values[$0 * values.count / count] }
    }
}
