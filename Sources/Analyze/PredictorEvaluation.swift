// How good predictions are, on a model of which every matrix was measured at several sizes.
//
// Each way of predicting is judged by the rank correlation with what was measured, on candidates that
// it has not seen, and by its regret: how much more the plan that it leads to costs, by the sum of
// measured divergences, than the plan that the measurements lead to.
import Artifacts
import Foundation
import Models
import TensorNetworks
import Tensors

package struct PredictorEvaluation {
    /// One way of predicting, judged.
    package struct Row: Codable, Hashable, Sendable {
        package let method: String
        /// Evaluations of the model that it takes.
        package let probes: Int
        /// Over all candidates that it had not seen; `nil` where it has seen all.
        package let spearman: Double?
        /// Over the matrices' candidates at 65%, that it had not seen.
        package let spearmanAt65: Double?
        /// Root mean square of ln predicted − ln measured, over those not seen; `nil` for heuristics,
        /// which predict no divergence.
        package let logError: Double?
        /// By budget, in `regretShares`: cost over the least, minus 1.
        package let regrets: [Double]
        /// What was chosen from, and why: parts of the predictor.
        package let note: String
    }

    /// Budgets at which plans are made.
    package static let regretShares = [0.5, 0.65, 0.8]

    private let map: SensitivityMap
    private let features: ModelFeatures
    /// Measured, in the order of the map's matrices and their candidates.
    private let measured: [ProbeMeasurement]
    private let model: MeasuredModel
    private let probes: [Probe: ProbeMeasurement]
    package var seed: UInt64 = 0

    /// - Parameters:
    ///   - map: second-order prices.
    ///   - sample: all that was measured, with its measurements in the same order.
    package init(
        _ map: SensitivityMap, features: ModelFeatures, sample: [Probe],
        measurements: [ProbeMeasurement]
    ) {
        let probes = Dictionary(
            zip(sample, measurements), uniquingKeysWith: { first, _ in first })
        self.probes = probes
        // The candidates that were measured are those that plans are made from.
        var matrices: [MatrixSensitivity] = []
        for (index, matrix) in map.matrices.enumerated() {
            let kept = matrix.candidates.indices.filter {
                probes[Probe(matrix: index, candidate: $0)] != nil
            }
            matrices.append(matrix.revised(candidates: kept.map { matrix.candidates[$0] }))
        }
        self.map = SensitivityMap(
            source: map.source, settings: map.settings, matrices: matrices)
        whole = map
        self.features = features
        let byKey = Dictionary(
            measurements.map { ("\($0.key.matrix) \($0.key.format)", $0) },
            uniquingKeysWith: { first, _ in first })
        let measured = matrices.flatMap { matrix in
            matrix.candidates.compactMap { byKey["\(matrix.name) \($0.format)"] }
        }
        self.measured = measured
        model = MeasuredModel(measured, features: features)
    }

    private let whole: SensitivityMap

    /// Measurements that it is judged by.
    package var count: Int { measured.count }

    /// All ways, heuristics first.
    /// - Parameters:
    ///   - counts: numbers of probes to learn from.
    ///   - prior: weights learnt from other models.
    package func rows(
        probes counts: [Int], prior: SensitivityPredictor?, heuristics: [String: [Double]],
        progress: (String) throws -> Void = { _ in }
    ) throws -> [Row] {
        var rows: [Row] = []
        for (name, losses) in heuristics.sorted(by: { $0.key < $1.key }) {
            rows.append(try row(name, losses, isDivergence: false))
        }
        rows.append(try row("second-order", measured.map(\.price)))
        try progress("held-out blocks")
        rows.append(try heldOutBlocks())
        if let prior {
            try progress("held-out model")
            let zero = try CalibratedPredictor([], features: features, prior: prior, seed: seed)
            rows.append(try row("held-out model", try divergences(zero), note: zero.method))
        }
        for count in counts {
            for weights in prior == nil ? [nil] : [nil, prior] {
                try progress("\(count) probes")
                rows.append(try withProbes(count, weights))
            }
        }
        return rows
    }

    // MARK: Ways of predicting

    private func withProbes(_ count: Int, _ prior: SensitivityPredictor?) throws -> Row {
        let sample = ProbeSample.stratified(whole, count: count, seed: seed)
            .compactMap { probes[$0] }
        let predictor = try CalibratedPredictor(
            sample, features: features, prior: prior, seed: seed)
        return try row(
            prior == nil ? "probes" : "probes, weights of other models", try divergences(predictor),
            probes: sample.count, seen: Set(sample.map(\.key)), note: predictor.method)
    }

    /// Every block predicted from all measurements of the others.
    private func heldOutBlocks() throws -> Row {
        var predicted = measured.map(\.price)
        var methods: Set<String> = []
        for (train, test) in model.blocksLeftOut {
            let layers = Set(test.rows.map(\.query.place.layer))
            let predictor = try CalibratedPredictor(train, prior: nil, seed: seed)
            methods.insert(predictor.method)
            let all = try divergences(predictor)
            for (index, measurement) in measured.enumerated()
            where MatrixPlace(name: measurement.key.matrix).map({ layers.contains($0.layer) })
                ?? false
            {
                predicted[index] = all[index]
            }
        }
        return try row(
            "held-out blocks", predicted, probes: measured.count,
            note: methods.sorted().joined(separator: "; "))
    }

    private func divergences(_ predictor: CalibratedPredictor) throws -> [Double] {
        let calibrated = try map.calibrated(by: predictor, [])
        return calibrated.matrices.flatMap { $0.candidates.map(\.predictedKL) }
    }

    // MARK: Judging

    private func row(
        _ method: String, _ predicted: [Double], isDivergence: Bool = true, probes: Int = 0,
        seen: Set<ProbeMeasurement.Key> = [], note: String = ""
    ) throws -> Row {
        let unseen = measured.indices.filter { !seen.contains(measured[$0].key) }
        func correlation(_ places: [Int]) -> Double? {
            RankCorrelation.spearman(
                places.map { predicted[$0] }, places.map { measured[$0].divergence })
        }
        let logs = unseen.map {
            PriceCurve.logarithm(predicted[$0]) - PriceCurve.logarithm(measured[$0].divergence)
        }
        return Row(
            method: method, probes: probes, spearman: correlation(unseen),
            spearmanAt65: correlation(unseen.filter(isNear65)),
            logError: isDivergence && !logs.isEmpty
                ? (logs.reduce(0) { $0 + $1 * $1 } / Double(logs.count)).squareRoot() : nil,
            regrets: try Self.regretShares.map { try regret(predicted, keeping: $0) }, note: note)
    }

    /// Whether a measurement is its matrix's largest within 65%.
    private func isNear65(_ index: Int) -> Bool {
        guard let matrix = map.matrices.first(where: { $0.name == measured[index].key.matrix })
        else { return false }
        let budget = Int(0.65 * Double(matrix.rows * matrix.columns))
        let within = matrix.candidates.filter { $0.parameters <= budget }
        return within.map(\.parameters).max() == measured[index].parameters
    }

    private func regret(_ losses: [Double], keeping share: Double) throws -> Double {
        let best = try cost(measured.map(\.divergence), keeping: share)
        let own = try cost(losses, keeping: share)
        return best > 0 ? own / best - 1 : 0
    }

    /// The measured cost of the plan that these losses lead to.
    private func cost(_ losses: [Double], keeping share: Double) throws -> Double {
        var next = losses.makeIterator()
        let judged = SensitivityMap(
            source: map.source, settings: [:],
            matrices: map.matrices.map { matrix in
                matrix.revised(
                    candidates: matrix.candidates.map {
                        Candidate(
                            format: $0.format, parameters: $0.parameters, bytes: $0.bytes,
                            predictedKL: next.next() ?? 0)
                    })
            })
        let proposal = try Planner(judged, within: .keep(share)).propose()
        let byKey = Dictionary(
            measured.map { ("\($0.key.matrix) \($0.key.format)", $0.divergence) },
            uniquingKeysWith: { first, _ in first })
        return zip(map.matrices, proposal.choices).reduce(0) {
            $0 + (byKey["\($1.0.name) \($1.1.format)"] ?? 0)
        }
    }

    /// What is often planned by instead, per measurement: the plain spectrum's energy behind the rank,
    /// and stable rank over rank.
    package func heuristics(_ checkpoint: Checkpoint) throws -> [String: [Double]] {
        let loader = WeightLoader(checkpoint, as: .float32, on: .cpu)
        var (energy, stable): ([Double], [Double]) = ([], [])
        for matrix in map.matrices {
            let values = try loader.tensor("\(matrix.name).weight").singularValues()
                .elements(as: Double.self).map { $0 * $0 }
            let sum = values.reduce(0, +)
            for candidate in matrix.candidates {
                let rank =
                    switch candidate.format {
                    case .lowRank(let rank), .pivotedLowRank(let rank): rank
                    default: values.count * candidate.parameters / (matrix.rows * matrix.columns)
                    }
                energy.append(values.dropFirst(rank).reduce(0, +) / max(sum, 1e-300))
                stable.append(sum / max(values.first ?? 0, 1e-300) / Double(max(1, rank)))
            }
        }
        return ["spectral energy": energy, "stable rank": stable]
    }
}
