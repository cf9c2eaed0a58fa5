// dense checkpoint + plan + calibration text → compressed checkpoint, block by block.
//
// For each block: run it over the calibration text's hidden states, in the dense model and in the one
// compressed so far, fit the matrices to what the dense ones do there, write them and the states that
// the next block reads. Fits that are not anchored to the compressed model take the dense model's moments,
// which runs on the same text share (MomentCache), and pass no text. Memory holds one block, one window of text and the moments, whatever the
// model's size; what is finished is on disk under names that a later run finds (see CompressionRun).
import Artifacts
import Calibration
import Foundation
import Models
import TensorNetworks
import Tensors

package struct CompressStage {
    package let source: String
    package let output: String
    package let settings: CompressionSettings
    package let calibration: CalibrationText
    package var device = Device.cpu
    /// Replace an existing output.
    package var overwrite = false
    /// Discard an unfinished run of the same output.
    package var restart = false
    /// Folder of moments that runs share.
    package var cache = MomentCache.defaultRoot

    package init(
        source: String, output: String, settings: CompressionSettings,
        calibration: CalibrationText
    ) {
        self.source = source
        self.output = output
        self.settings = settings
        self.calibration = calibration
    }

    /// Steps done of how many, and what the last one was.
    package typealias Progress = (_ done: Int, _ total: Int, _ note: String) throws -> Void

    /// Compresses, or continues a compression that was killed: the result has the same bytes.
    /// - Parameter progress: throwing from it ends the run between two steps; it can be continued.
    package func run(progress: Progress) throws -> CompressionReport {
        let start = Date()
        TorchRuntime.returnFreedMemory()
        let configuration = try ModelConfiguration(folder: source)
        let checkpoint = try Checkpoint(source)
        guard checkpoint.manifest == nil else {
            throw CompressError.alreadyCompressed(folder: source)
        }
        try checkpoint.validate(against: configuration)
        try settings.fit.validate()
        let plan = try plan(for: checkpoint, configuration)
        var journal = plan.settings.merging(settings.fit.description) { _, fit in fit }
        journal["source"] = .string(plan.source.hex)
        journal["matrices"] = .string(
            Fingerprint(hashing: [try StrictJSON.encode(plan.matrices)]).hex)
        if settings.fit.readsText { journal["calibration"] = .string(calibration.origin) }

        let folder = try OutputFolder(
            output, overwrite: try overwrite || isComplete(plan, journal: journal))
        let run = try CompressionRun(for: folder.path, journal: journal, restart: restart)
        let (records, tokens) = try withoutGradients {
            try compress(checkpoint, configuration, plan, in: run, progress)
        }
        if try !isComplete(plan, journal: journal) {
            try write(plan, checkpoint, configuration, in: run, to: folder)
        }
        try RunFolder.end(for: folder.path)
        let compressed = try Checkpoint(folder.path)
        return CompressionReport(
            fingerprint: plan.source, source: source, output: output, matrices: records,
            linearParametersBefore: configuration.linearModules.reduce(0) {
                $0 + $1.rows * $1.columns
            },
            linearParametersAfter: try plan.parameterCount(), bytesBefore: checkpoint.byteCount,
            bytesAfter: compressed.byteCount, calibrationTokens: tokens,
            seconds: Date().timeIntervalSince(start))
    }

    /// Whether the output is the result of this very run, which was killed before it could end.
    private func isComplete(
        _ plan: CompressionPlan, journal: [String: JSONValue]
    ) throws -> Bool {
        guard OutputFolder.isOccupied(output), !restart,
            try RunFolder.isOpen(for: output, journal: journal)
        else { return false }
        return (try? Checkpoint(output))?.manifest?.plan == plan
    }

    /// The plan that is carried out, with how its matrices are fitted.
    private func plan(
        for checkpoint: Checkpoint, _ configuration: ModelConfiguration
    ) throws -> CompressionPlan {
        let source = try checkpoint.fingerprint()
        let plan: CompressionPlan
        switch settings.goal {
        case .uniform(let format, let keep):
            plan = try CompressionPlan(
                uniform: format, keep: keep, for: checkpoint, configuration, source: source)
        case .plan(let given):
            try given.check(against: configuration, source: source)
            try given.checkSharing(configuration, settings.fit)
            plan = given
        }
        let stored = settings.weights.map { plan.storing(as: $0) } ?? plan
        var description = plan.settings
        if stored.matrices.contains(where: { $0.patches.contains { $0.elementType.isQuantized } }) {
            description["rounding"] = .string(settings.rounding.rawValue)
        }
        return CompressionPlan(
            source: source, settings: description, fit: settings.fit, matrices: stored.matrices)
    }

    // MARK: Blocks

    private func compress(
        _ checkpoint: Checkpoint, _ configuration: ModelConfiguration, _ plan: CompressionPlan,
        in run: CompressionRun, _ progress: Progress
    ) throws -> (records: [CompressionReport.Matrix], tokens: Int) {
        let fit = settings.fit
        let windows = fit.readsText ? try run.calibrationWindows(calibration) : []
        if fit.readsText { try CalibrationText.check(windows, against: configuration) }
        let refinement = refinement(checkpoint, configuration)
        let stepsPerBlock =
            (fit.anchor == nil ? 0 : BlockPass.passes * windows.count) + Projection.allCases.count
            + (refinement?.steps(windows: windows.count) ?? 0)
        let stepsOfMoments =
            (momentExtent?.passes ?? 0) * windows.count * configuration.layerCount
        let total = configuration.layerCount * stepsPerBlock + stepsOfMoments
        let moments = try momentExtent.map { (extent) throws -> MomentCache in
            var pass = try MomentPass(
                checkpoint, configuration, source: plan.source, windows: windows,
                seed: settings.seed, extent: extent, on: device, root: cache)
            // Without an anchor the fits read the dense model's input moments.
            if fit.anchor == nil { pass.keeping = .everything }
            try pass.run { done, _, note in try progress(done, total, "moments, \(note)") }
            return pass.cache
        }
        let compressor = BlockCompressor(
            checkpoint: checkpoint, configuration: configuration, fit: fit,
            units: plan.units(configuration), moments: moments, refinement: refinement,
            rounding: settings.rounding, device: device)
        var done = stepsOfMoments
        func step(_ note: String) throws {
            done += 1
            try progress(done, total, note)
        }

        var records: [CompressionReport.Matrix] = []
        for layer in 0..<configuration.layerCount {
            if run.isDone(layer) {
                records += try BlockRecord.read(run.recordPath(layer))
                done += stepsPerBlock
                try progress(done, total, "block \(layer) was done")
                continue
            }
            var streams: BlockStreams?
            let block: BlockCompressor.Compressed
            if let anchor = fit.anchor {
                let files = blockStreams(layer, windows, configuration, run)
                streams = files
                if layer == 0, !files.dense.exists {
                    try files.dense.writeEmbeddings(
                        of: windows, .checkpoint(checkpoint), configuration, on: device)
                }
                block = try compressor.compress(layer, anchor: anchor, files, step: step)
            } else {
                block = try compressor.compress(layer, step: step)
            }
            try BlockRecord.write(block.matrices.map(\.record), to: run.recordPath(layer))
            try writeParts(of: block, to: run.partsPath(layer))
            records += block.matrices.map(\.record)
            // No later run reads these again: the block's matrices and the next states are on disk.
            try streams?.dense.remove()
            try streams?.compressed.remove()
        }
        // Matrices that share a factor were fitted with the first of them.
        let found = Dictionary(
            records.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        records = configuration.linearModules.compactMap { found[$0.name] }
        return (records, windows.count * (windows.first?.count ?? 0))
    }

    private func refinement(
        _ checkpoint: Checkpoint, _ configuration: ModelConfiguration
    ) -> BlockRefinement? {
        guard let refine = settings.fit.refinement, let anchor = settings.fit.anchor else {
            return nil
        }
        return BlockRefinement(
            settings: refine, anchor: anchor, checkpoint: checkpoint,
            configuration: configuration, seed: settings.seed, device: device)
    }

    /// The dense model's moments that the fits want.
    private var momentExtent: MomentPass.Extent? {
        let fit = settings.fit
        if fit.isTwoSided { return .inputsAndOutputs }
        return fit.anchor == nil && fit.metric != .weights ? .inputs : nil
    }

    private func blockStreams(
        _ layer: Int, _ windows: [[Int]], _ configuration: ModelConfiguration, _ run: CompressionRun
    ) -> BlockStreams {
        func file(_ kind: CompressionRun.States, _ layer: Int) -> HiddenStateFile {
            HiddenStateFile(
                path: run.statesPath(kind, layer), windows: windows.count,
                tokens: windows.first?.count ?? 0, hidden: configuration.hiddenSize)
        }
        let isLast = layer == configuration.layerCount - 1
        return BlockStreams(
            dense: file(.dense, layer),
            // Both models read the same embeddings.
            compressed: file(layer == 0 ? .dense : .compressed, layer),
            denseMiddle: file(.denseMiddle, layer),
            compressedMiddle: file(.compressedMiddle, layer), target: file(.target, layer),
            nextDense: isLast ? nil : file(.dense, layer + 1),
            nextCompressed: isLast ? nil : file(.compressed, layer + 1))
    }

    // MARK: Files

    private func writeParts(of block: BlockCompressor.Compressed, to path: String) throws {
        var parts: [NamedTensor] = try block.others.map { ($0.name, try $0.tensor.moved(to: .cpu)) }
        for matrix in block.matrices {
            for (patch, fitted) in zip(matrix.matrix.patches, matrix.patches) {
                for (part, tensor) in fitted.weight.parts
                where !matrix.sharesInput || !Format.sharedParts.contains(part) {
                    guard let name = patch.tensors[part] else {
                        preconditionFailure("a manifest entry names every part of its format")
                    }
                    parts.append((name, try tensor.moved(to: .cpu)))
                }
            }
        }
        let writer = try SafetensorsWriter(
            path, declaring: parts.map { TensorInfo(name: $0.name, of: $0.tensor) })
        for part in parts { try writer.write(part.tensor, named: part.name) }
        try writer.finish()
    }

    /// Gathers the blocks' matrices and what stays as it is into the output folder.
    private func write(
        _ plan: CompressionPlan, _ checkpoint: Checkpoint, _ configuration: ModelConfiguration,
        in run: CompressionRun, to folder: OutputFolder
    ) throws {
        let compressed = plan.matrices.filter(\.isCompressed)
        let replaced = Set(compressed.map { "\($0.name).weight" })
        let blocks = try (0..<configuration.layerCount).map {
            try SafetensorsFile(run.partsPath($0))
        }
        let made = Set(blocks.flatMap { $0.tensors.map(\.name) })
        let kept = checkpoint.tensorNames.filter { !replaced.contains($0) && !made.contains($0) }
        for name in kept where checkpoint.info(name)?.elementType.isFloatingPoint == true {
            try checkpoint.requireFinite(name)
        }
        let manifest = try CompressionManifest(
            source: plan.source, plan: plan, matrices: try compressed.map(CompressedMatrix.init))
        try folder.replace {
            let writer = try CheckpointWriter(
                folder.path, like: source,
                declaring: kept.compactMap { checkpoint.info($0) } + blocks.flatMap(\.tensors),
                manifest: manifest)
            for name in kept { try writer.copy(name, from: checkpoint) }
            for block in blocks {
                for part in block.tensors { try writer.copy(part.name, from: block) }
            }
            try writer.finish()
        }
    }
}
