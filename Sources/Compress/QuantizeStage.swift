// checkpoint, compressed or dense → the same with its linear layers' values in one byte each. What a model that was
// healed is quantised with: training needs the wide values.
import Artifacts
import Calibration
import Foundation
import Models
import TensorNetworks
import Tensors

package struct QuantizeStage {
    package let source: String
    package let output: String
    /// int8 or float8e4m3.
    package let weights: ElementType
    package let rounding: WeightRounding
    /// Read where losses are compensated.
    package let calibration: CalibrationText
    package var device = Device.cpu
    /// Replace an existing output.
    package var overwrite = false
    package var cache = MomentCache.defaultRoot

    package init(
        source: String, output: String, weights: ElementType, rounding: WeightRounding,
        calibration: CalibrationText
    ) {
        self.source = source
        self.output = output
        self.weights = weights
        self.rounding = rounding
        self.calibration = calibration
    }

    /// A run that is killed leaves no output; the moments that it collected are found by the next one.
    package func run(progress: CompressStage.Progress) throws -> CompressionReport {
        let start = Date()
        let configuration = try ModelConfiguration(folder: source)
        let checkpoint = try Checkpoint(source)
        try checkpoint.validate(against: configuration)
        guard checkpoint.manifest?.quantizedType == nil else {
            throw CompressError.alreadyQuantized(folder: source)
        }
        let folder = try OutputFolder(output, overwrite: overwrite)
        let manifest = try manifest(checkpoint, configuration)
        return try withoutGradients {
            let windows = rounding == .compensated ? try calibration.windows() : []
            let modules = configuration.linearModules.count
            let total = modules + windows.count * configuration.layerCount
            var done = 0
            func step(_ note: String) throws {
                done += 1
                try progress(done, total, note)
            }
            let moments = try moments(checkpoint, configuration, windows, step)
            let records = try write(manifest, checkpoint, configuration, moments, to: folder, step)
            let parameters = try manifest.parameterCount()
            return CompressionReport(
                fingerprint: manifest.source, source: source, output: output, matrices: records,
                linearParametersBefore: parameters, linearParametersAfter: parameters,
                bytesBefore: checkpoint.byteCount,
                bytesAfter: try Checkpoint(folder.path).byteCount,
                calibrationTokens: windows.count * (windows.first?.count ?? 0),
                seconds: Date().timeIntervalSince(start))
        }
    }

    /// Every linear layer, with the format that it has.
    private func manifest(
        _ checkpoint: Checkpoint, _ configuration: ModelConfiguration
    ) throws -> CompressionManifest {
        let matrices = try configuration.linearModules.map { module in
            try checkpoint.manifest?.matrix(module.name)?.storing(as: weights)
                ?? CompressedMatrix(MatrixPlan(module, .dense, as: weights))
        }
        let source = try checkpoint.manifest?.source ?? checkpoint.fingerprint()
        let plan =
            checkpoint.manifest?.plan
            ?? CompressionPlan(dense: configuration, as: weights, source: source)
        var settings = plan.settings
        settings["rounding"] = .string(rounding.rawValue)
        return try CompressionManifest(
            source: source,
            plan: CompressionPlan(
                source: source, settings: settings, fit: plan.fit, matrices: plan.matrices
            ).storing(as: weights), matrices: matrices)
    }

    private func moments(
        _ checkpoint: Checkpoint, _ configuration: ModelConfiguration, _ windows: [[Int]],
        _ step: (String) throws -> Void
    ) throws -> MomentCache? {
        guard rounding == .compensated else { return nil }
        try CalibrationText.check(windows, against: configuration)
        let pass = try MomentPass(
            checkpoint, configuration, source: checkpoint.fingerprint(), windows: windows,
            extent: .inputs, on: device, root: cache)
        try pass.run { _, _, note in try step("moments, \(note)") }
        return pass.cache
    }

    /// Shrinkage of the moments, as fits have it.
    private var shrinkage: Double { FitSettings().shrinkage }

    private func write(
        _ manifest: CompressionManifest, _ checkpoint: Checkpoint,
        _ configuration: ModelConfiguration, _ moments: MomentCache?, to folder: OutputFolder,
        _ step: (String) throws -> Void
    ) throws -> [CompressionReport.Matrix] {
        let replaced = Set(configuration.linearModules.map(\.weight.name))
            .union(checkpoint.manifest?.tensorNames ?? [])
        let kept = checkpoint.tensorNames.filter { !replaced.contains($0) }
        let quantizer = CheckpointQuantizer(
            checkpoint: checkpoint, shared: manifest.sharedTensorNames, weights: weights,
            rounding: rounding, on: device)
        var records: [CompressionReport.Matrix] = []
        try folder.replace {
            let writer = try CheckpointWriter(
                folder.path, like: source,
                declaring: kept.compactMap { checkpoint.info($0) } + manifest.declarations(),
                manifest: manifest)
            for name in kept { try writer.copy(name, from: checkpoint) }
            var written: Set<String> = []
            for layer in 0..<configuration.layerCount {
                for projection in Projection.allCases {
                    let module = configuration.module(projection, ofLayer: layer)
                    guard let matrix = manifest.matrix(module.name) else {
                        preconditionFailure("the manifest has every linear layer")
                    }
                    let moment = try moments.map {
                        try SecondMoment(
                            $0.moment(of: projection.input, layer: layer).moved(to: device),
                            size: module.columns, shrinkage: shrinkage,
                            name: "the input moment of \(module.name)")
                    }
                    let (patches, record) = try quantizer.quantized(module, matrix, moment)
                    records.append(record)
                    for (stored, network) in zip(matrix.patches, patches) {
                        for (part, tensor) in network.parts {
                            guard let name = stored.tensors[part] else {
                                preconditionFailure("a manifest entry names every part")
                            }
                            if written.insert(name).inserted {
                                try writer.write(tensor.moved(to: .cpu), named: name)
                            }
                        }
                    }
                    try step(module.name)
                }
            }
            try writer.finish()
        }
        return records
    }
}
