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
    /// Discard what an unfinished run has left.
    package var restart = false
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

    /// Quantises, or goes on behind the last matrix of a run that was killed: the result has the same bytes.
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
        let run = try CompressionRun(
            for: folder.path, journal: journal(checkpoint), restart: restart)
        return try withoutGradients {
            let windows = rounding == .compensated ? try run.calibrationWindows(calibration) : []
            let modules = configuration.linearModules.count
            let total = modules + windows.count * configuration.layerCount
            var done = 0
            func step(_ note: String) throws {
                done += 1
                try progress(done, total, note)
            }
            let moments = try moments(checkpoint, configuration, windows, step)
            let records = try quantize(
                manifest, checkpoint, configuration, moments, in: run, step)
            try write(manifest, checkpoint, configuration, from: run, to: folder)
            try RunFolder.end(for: folder.path)
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

    /// What a run is continued by.
    private func journal(_ checkpoint: Checkpoint) throws -> [String: JSONValue] {
        var journal: [String: JSONValue] = [
            "quantized": .string(try checkpoint.fingerprint().hex),
            "weights": .string(weights.rawValue), "rounding": .string(rounding.rawValue),
        ]
        if rounding == .compensated { journal["calibration"] = .string(calibration.origin) }
        return journal
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

    /// The tensors of each matrix go into a file of their own; what more than one is stored in goes with the first.
    private func quantize(
        _ manifest: CompressionManifest, _ checkpoint: Checkpoint,
        _ configuration: ModelConfiguration, _ moments: MomentCache?, in run: CompressionRun,
        _ step: (String) throws -> Void
    ) throws -> [CompressionReport.Matrix] {
        let quantizer = CheckpointQuantizer(
            checkpoint: checkpoint, shared: manifest.sharedTensorNames, weights: weights,
            rounding: rounding, on: device)
        var records: [CompressionReport.Matrix] = []
        var written: Set<String> = []
        for (index, place) in Self.places(configuration).enumerated() {
            let module = configuration.module(place.projection, ofLayer: place.layer)
            guard let matrix = manifest.matrix(module.name) else {
                preconditionFailure("the manifest has every linear layer")
            }
            if run.isDone(index) {
                let file = try SafetensorsFile(run.partsPath(index))
                try quantizer.remember(matrix, from: file)
                records += try BlockRecord.read(run.recordPath(index))
                written.formUnion(file.tensors.map(\.name))
                try step("\(module.name) was done")
                continue
            }
            let moment = try moments.map {
                try SecondMoment(
                    $0.moment(of: place.projection.input, layer: place.layer).moved(to: device),
                    size: module.columns, shrinkage: shrinkage,
                    name: "the input moment of \(module.name)")
            }
            let (patches, record) = try quantizer.quantized(module, matrix, moment)
            var parts: [NamedTensor] = []
            for (stored, network) in zip(matrix.patches, patches) {
                for (part, tensor) in network.parts {
                    guard let name = stored.tensors[part] else {
                        preconditionFailure("a manifest entry names every part")
                    }
                    if written.insert(name).inserted {
                        parts.append((name, try tensor.moved(to: .cpu)))
                    }
                }
            }
            try BlockRecord.write([record], to: run.recordPath(index))
            let writer = try SafetensorsWriter(
                run.partsPath(index),
                declaring: parts.map { TensorInfo(name: $0.name, of: $0.tensor) })
            for part in parts { try writer.write(part.tensor, named: part.name) }
            try writer.finish()
            records.append(record)
            try step(module.name)
        }
        return records
    }

    /// Linear layers in the order in which they are quantised.
    private static func places(
        _ configuration: ModelConfiguration
    ) -> [(layer: Int, projection: Projection)] {
        (0..<configuration.layerCount).flatMap { layer in
            Projection.allCases.map { (layer, $0) }
        }
    }

    /// Gathers the matrices and what stays as it is into the output folder.
    private func write(
        _ manifest: CompressionManifest, _ checkpoint: Checkpoint,
        _ configuration: ModelConfiguration, from run: CompressionRun, to folder: OutputFolder
    ) throws {
        let replaced = Set(configuration.linearModules.map(\.weight.name))
            .union(checkpoint.manifest?.tensorNames ?? [])
        let kept = checkpoint.tensorNames.filter { !replaced.contains($0) }
        try folder.replace {
            let writer = try CheckpointWriter(
                folder.path, like: source,
                declaring: kept.compactMap { checkpoint.info($0) } + manifest.declarations(),
                manifest: manifest)
            for name in kept { try writer.copy(name, from: checkpoint) }
            for index in Self.places(configuration).indices {
                let file = try SafetensorsFile(run.partsPath(index))
                for part in file.tensors { try writer.copy(part.name, from: file) }
            }
            try writer.finish()
        }
    }
}
