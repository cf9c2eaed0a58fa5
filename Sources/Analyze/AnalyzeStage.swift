// dense checkpoint + calibration text → sensitivity map: what every format of every matrix would cost.
//
// Blocks are priced in the course of the backward pass that collects their moments, so that nothing needs
// to hold the moments of the whole model: of a model of 32 billion weights they would take 400 GB.
import Artifacts
import Calibration
import Foundation
import Models
import TensorNetworks
import Tensors

package struct AnalyzeStage {
    package let model: Model
    package let calibration: CalibrationText
    /// The input moments are regularised: A ← (1 − α)·A + α·mean(diag A)·I with this α.
    package var shrinkage = 0.01
    /// The same for the output moments.
    package var outputShrinkage = 0.05
    /// Formats that are priced beside pivoted low rank, whose prices have a closed form; each of these is
    /// fitted in several sizes, which takes many times as long.
    package var formats: [Format.Kind] = []
    /// Those that the whole pipeline lets a plan choose from.
    package static let standardFormats: [Format.Kind] = [.mixture]
    package var patching = Patching.whole
    /// Seed of the labels that are drawn from the model.
    package var seed: UInt64 = 0
    package var device = Device.cpu
    /// Folder of moments that runs share.
    package var cache = MomentCache.defaultRoot

    /// What is analysed.
    package enum Model {
        case folder(String)
        /// Random weights in place of a checkpoint, to measure what the analysis of such a model takes.
        case random(RandomModel)
    }

    package init(source: String, calibration: CalibrationText) {
        self.init(.folder(source), calibration: calibration)
    }

    package init(_ model: Model, calibration: CalibrationText) {
        self.model = model
        self.calibration = calibration
    }

    /// Steps done of how many, and what the last one was.
    package typealias Progress = (_ done: Int, _ total: Int, _ step: AnalyzeStep) throws -> Void

    /// - Parameter progress: throwing from it ends the run; the moments that it has collected stay.
    package func run(progress: Progress) throws -> SensitivityMap {
        TorchRuntime.returnFreedMemory()
        let (weights, configuration, fingerprint) = try opened()
        let windows = try calibration.windows(of: fingerprint, keptIn: cache)
        var pass = try MomentPass(
            weights, configuration, source: fingerprint, windows: windows, seed: seed,
            on: device, root: cache)
        if case .random = model { pass.keeping = .nothing }
        let kept = "\(pass.cache.folder)/sensitivity.json"
        let settings = settings(windows)
        if let map = try? SensitivityMap.read(kept), map.settings == settings { return map }

        let journal = try PricedBlocks(in: pass.cache.folder, settings: settings)
        let passed =
            MomentPass.Extent.inputsAndOutputs.passes * configuration.layerCount * windows.count
        let total = passed + configuration.linearModules.count
        var priced = 0
        func step(_ done: Int, _ step: AnalyzeStep) throws {
            try progress(done + priced, total, step)
        }
        var done = 0
        try pass.run {
            done = $0
            try step(done, .moments($2))
        } isWanted: {
            !journal.has($0)
        } use: { layer, moments in
            let matrices = try withoutGradients {
                try price(layer, moments, weights, configuration) {
                    priced += 1
                    try step(done, .price($0))
                }
            }
            try journal.write(matrices, layer: layer)
        }
        let matrices = try (0..<configuration.layerCount).flatMap(journal.read)
        let map = SensitivityMap(
            source: fingerprint, settings: settings, matrices: Self.scored(matrices))
        // The next run with the same settings reads it; one with others replaces it.
        try map.write(kept)
        try journal.remove()
        return map
    }

    /// The folder of the model.
    /// - Throws: where there is none.
    package func folder() throws(AnalyzeError) -> String {
        switch model {
        case .folder(let folder): return folder
        case .random: throw .probesOfNothing
        }
    }

    private func opened() throws -> (WeightSource, ModelConfiguration, Fingerprint) {
        switch model {
        case .folder(let folder):
            let configuration = try ModelConfiguration(folder: folder)
            let checkpoint = try Checkpoint(folder)
            guard checkpoint.manifest == nil else {
                throw AnalyzeError.compressed(folder: folder)
            }
            try checkpoint.validate(against: configuration)
            return (.checkpoint(checkpoint), configuration, try checkpoint.fingerprint())
        case .random(let model):
            let seed = Array("random weights, seed \(model.seed)".utf8)
            return (
                .random(model), model.configuration,
                Fingerprint(hashing: [seed, model.configuration.source])
            )
        }
    }

    private func settings(_ windows: [[Int]]) -> [String: JSONValue] {
        var settings: [String: JSONValue] = [
            "method": .string("second-order"),
            "tokens": .integer(windows.count * windows[0].count),
            "shrinkage": .number(shrinkage), "output_shrinkage": .number(outputShrinkage),
            "seed": .string("\(seed)"),
        ]
        if !formats.isEmpty { settings["formats"] = .array(formats.map { .string($0.rawValue) }) }
        if patching != .whole { settings["patches"] = .string("\(patching)") }
        return settings
    }

    // MARK: Prices

    private func price(
        _ layer: Int, _ moments: BlockMoments, _ weights: WeightSource,
        _ configuration: ModelConfiguration, step: (String) throws -> Void
    ) throws -> [MatrixSensitivity] {
        let pricer = MatrixPricer(formats: formats)
        var found: [MatrixSensitivity] = []
        for input in Projection.Input.allCases {
            let inputMoment = try moments.moment(of: input).moved(to: device)
            // Shared by the layers that read the same activation.
            let whole = try SecondMoment(
                inputMoment, size: inputMoment.shape[0], shrinkage: shrinkage,
                name: "the \(input.rawValue) moment of block \(layer)")
            for projection in input.projections {
                let module = configuration.module(projection, ofLayer: layer)
                let weight = try WeightLoader(weights, as: .float64, on: device)
                    .tensor(module.weight.name)
                let outputMoment = try moments.moment(of: projection).moved(to: device)
                let regions = patching.regions(of: projection, configuration)
                for region in regions.map({ $0.map(Optional.some) }) ?? [nil] {
                    let rows = region?.rows ?? 0..<module.rows
                    let columns = region?.columns ?? 0..<module.columns
                    func moment(
                        _ moment: Tensor, _ range: Range<Int>, _ shrinkage: Double
                    ) throws -> SecondMoment {
                        try SecondMoment(
                            moment.narrowed(0, range).narrowed(1, range), size: range.count,
                            shrinkage: shrinkage, name: "a moment of \(module.name)")
                    }
                    found.append(
                        try pricer.price(
                            module.name, region: region,
                            weight.narrowed(0, rows).narrowed(1, columns),
                            as: weights.elementType(module.weight.name) ?? .bfloat16,
                            columns.count == module.columns
                                ? whole : moment(inputMoment, columns, shrinkage),
                            moment(outputMoment, rows, outputShrinkage)))
                    TorchRuntime.releaseUnusedMemory()
                }
                try step(module.name)
            }
        }
        return found
    }

    /// Scores rank the matrices by what they cost where 65% of their parameters remain.
    static func scored(_ found: [MatrixSensitivity]) -> [MatrixSensitivity] {
        let costs = found.map { matrix in
            let budget = Int(0.65 * Double(matrix.rows * matrix.columns))
            return matrix.candidates.last { $0.parameters <= budget }?.predictedKL ?? 0
        }
        let order = costs.indices.sorted { (costs[$0], $0) < (costs[$1], $1) }
        var scores = [Double](repeating: 0, count: costs.count)
        for (place, index) in order.enumerated() where costs.count > 1 {
            scores[index] = Double(place) / Double(costs.count - 1)
        }
        return zip(found, scores).map { $0.scored($1) }
    }
}

/// What an analysis has just done.
package enum AnalyzeStep: CustomStringConvertible, Sendable {
    /// A window passed through a block.
    case moments(MomentStep)
    /// Every candidate of the named matrix has its price.
    case price(String)

    package var description: String {
        switch self {
        case .moments(let step): "\(step)"
        case .price(let matrix): matrix
        }
    }
}

package enum AnalyzeError: Error, CustomStringConvertible {
    case compressed(folder: String)
    case probesOfNothing
    case probesOfPatches(matrix: String)

    package var description: String {
        switch self {
        case .compressed(let folder):
            "\(folder) is compressed; analyze the dense checkpoint that it was made from"
        case .probesOfNothing:
            "a model of random weights has nothing to measure"
        case .probesOfPatches(let matrix):
            "\(matrix) is cut into patches; only whole matrices can be probed: pass --probes 0"
        }
    }
}
