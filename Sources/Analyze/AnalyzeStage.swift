// dense checkpoint + calibration text → sensitivity map: what every format of every matrix would cost.
//
// To second order the rise of the model's KL divergence is ½·E‖g·(W − Ŵ)x‖² = ½·tr(G E A Eᵀ), with A the
// moment of a layer's input and G that of the loss's gradient by its output (K-FAC, Martens & Grosse 2015,
// arXiv 1503.05671). In the norm of A and G a matrix has singular values, and what rank k costs is half
// the energy behind the k-th: one eigenproblem per matrix prices all of its ranks.
import Artifacts
import Calibration
import Foundation
import Models
import TensorNetworks
import Tensors

package struct AnalyzeStage {
    package let source: String
    package let calibration: CalibrationText
    /// The input moments are regularised: A ← (1 − α)·A + α·mean(diag A)·I with this α.
    package var shrinkage = 0.01
    /// The same for the output moments.
    package var outputShrinkage = 0.05
    /// Seed of the labels that are drawn from the model.
    package var seed: UInt64 = 0
    package var device = Device.cpu
    /// Folder of moments that runs share.
    package var cache = MomentCache.defaultRoot

    package init(source: String, calibration: CalibrationText) {
        self.source = source
        self.calibration = calibration
    }

    /// Steps done of how many, and what the last one was.
    package typealias Progress = (_ done: Int, _ total: Int, _ note: String) throws -> Void

    /// - Parameter progress: throwing from it ends the run; the moments that it has collected stay.
    package func run(progress: Progress) throws -> SensitivityMap {
        TorchRuntime.returnFreedMemory()
        let configuration = try ModelConfiguration(folder: source)
        let checkpoint = try Checkpoint(source)
        guard checkpoint.manifest == nil else { throw AnalyzeError.compressed(folder: source) }
        try checkpoint.validate(against: configuration)
        let fingerprint = try checkpoint.fingerprint()
        let windows = try calibration.windows(of: fingerprint, keptIn: cache)
        let pass = try MomentPass(
            checkpoint, configuration, source: fingerprint, windows: windows, seed: seed,
            on: device, root: cache)
        let kept = "\(pass.cache.folder)/sensitivity.json"
        let settings = settings(windows)
        if let map = try? SensitivityMap.read(kept), map.settings == settings { return map }
        let modules = configuration.linearModules.count
        let passed = pass.extent.passes * configuration.layerCount * windows.count
        let total = passed + modules
        try pass.run { done, _, note in try progress(done, total, note) }

        var found: [Priced] = []
        try withoutGradients {
            for layer in 0..<configuration.layerCount {
                for input in Projection.Input.allCases {
                    let moment = try pass.cache.moment(of: input, layer: layer).moved(to: device)
                    let shared = try SecondMoment(
                        moment, size: moment.shape[0], shrinkage: shrinkage,
                        name: "the \(input.rawValue) moment of block \(layer)")
                    for projection in input.projections {
                        let module = configuration.module(projection, ofLayer: layer)
                        let output = try SecondMoment(
                            pass.cache.moment(of: projection, layer: layer).moved(to: device),
                            size: module.rows, shrinkage: outputShrinkage,
                            name: "the output moment of \(module.name)")
                        found.append(try price(module, checkpoint, shared, output))
                        TorchRuntime.releaseUnusedMemory()
                        try progress(passed + found.count, total, module.name)
                    }
                }
            }
        }
        let map = SensitivityMap(
            source: fingerprint, settings: settings, matrices: Self.scored(found))
        // The next run with the same settings reads it; one with others replaces it.
        try map.write(kept)
        return map
    }

    private func settings(_ windows: [[Int]]) -> [String: JSONValue] {
        [
            "method": .string("second-order"),
            "tokens": .integer(windows.count * windows[0].count),
            "shrinkage": .number(shrinkage), "output_shrinkage": .number(outputShrinkage),
            "seed": .string("\(seed)"),
        ]
    }

    // MARK: Prices

    private struct Priced {
        let module: LinearModule
        let elementType: ElementType
        /// pᵢ = σᵢ² / Σσ², descending.
        let shares: [Double]
        let candidates: [Candidate]
    }

    private func price(
        _ module: LinearModule, _ checkpoint: Checkpoint, _ input: SecondMoment,
        _ output: SecondMoment
    ) throws -> Priced {
        let weight = try WeightLoader(checkpoint, as: .float64, on: device)
            .tensor(module.weight.name)
        let objective = try FitObjective(weight: weight, moment: input, output: output)
        let energies = try WeightedSpectrum(of: objective).energies
        let type = checkpoint.info(module.weight.name)?.elementType ?? .bfloat16
        // The moments were scaled to a mean diagonal of 1.
        let scale = 0.5 * input.scale * output.scale
        var behind = energies.reduce(0, +)
        let sum = behind
        var candidates: [Candidate] = []
        let step = Self.rankStep(energies.count)
        for (index, energy) in energies.enumerated() {
            behind = max(0, behind - energy)
            let rank = index + 1
            guard rank.isMultiple(of: step) else { continue }
            let candidate = try Candidate(
                .pivotedLowRank(rank: rank), rows: module.rows, columns: module.columns, as: type,
                predictedKL: scale * behind)
            guard candidate.parameters < module.rows * module.columns else { break }
            candidates.append(candidate)
        }
        return Priced(
            module: module, elementType: type,
            shares: sum > 0 ? energies.map { $0 / sum } : energies, candidates: candidates)
    }

    /// Ranks are multiples of 16, which tensor cores and 16-byte loads want; finer on small matrices,
    /// where that would be too coarse to spend a budget on.
    private static func rankStep(_ smallerSide: Int) -> Int {
        smallerSide >= 1_024 ? 16 : max(1, smallerSide / 128)
    }

    /// Scores rank the matrices by what they cost where 65% of their parameters remain.
    private static func scored(_ found: [Priced]) -> [MatrixSensitivity] {
        let costs = found.map { priced in
            let budget = Int(0.65 * Double(priced.module.rows * priced.module.columns))
            return priced.candidates.last { $0.parameters <= budget }?.predictedKL ?? 0
        }
        let order = costs.indices.sorted { (costs[$0], $0) < (costs[$1], $1) }
        var scores = [Double](repeating: 0, count: costs.count)
        for (place, index) in order.enumerated() where costs.count > 1 {
            scores[index] = Double(place) / Double(costs.count - 1)
        }
        return zip(found, scores).map { priced, score in
            MatrixSensitivity(
                name: priced.module.name, rows: priced.module.rows, columns: priced.module.columns,
                elementType: priced.elementType, score: score,
                entropy: priced.shares.reduce(0) { $0 - ($1 > 0 ? $1 * log($1) : 0) },
                spectrum: samples(of: priced.shares), candidates: priced.candidates)
        }
    }

    private static func samples(of values: [Double]) -> [Double] {
        let count = min(values.count, MatrixSensitivity.mostSamples)
        return (0..<count).map { values[$0 * values.count / count] }
    }
}

package enum AnalyzeError: Error, CustomStringConvertible {
    case compressed(folder: String)

    package var description: String {
        switch self {
        case .compressed(let folder):
            "\(folder) is compressed; analyze the dense checkpoint that it was made from"
        }
    }
}
