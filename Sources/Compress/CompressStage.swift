// dense checkpoint + calibration text → compressed checkpoint, block by block.
//
// For each block: run it over the calibration text's hidden states, collect the second moments of what
// its linear layers read, write the states for the next block, fit the matrices, write the block's
// shard. Memory holds one block, one window of text and the moments, whatever the model's size; what is
// finished is on disk under names that a later run finds (see CompressionRun).
import Artifacts
import Foundation
import Models
import TensorNetworks
import Tensors

package struct CompressStage {
    package let source: String
    package let output: String
    package let settings: CompressionSettings
    package let calibration: Calibration
    package var device = Device.cpu
    /// Replace an existing output.
    package var overwrite = false
    /// Discard an unfinished run of the same output.
    package var restart = false

    package init(
        source: String, output: String, settings: CompressionSettings, calibration: Calibration
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
        let configuration = try ModelConfiguration(folder: source)
        let checkpoint = try Checkpoint(source)
        guard checkpoint.manifest == nil else {
            throw CompressError.alreadyCompressed(folder: source)
        }
        try checkpoint.validate(against: configuration)
        let fingerprint = try checkpoint.fingerprint()
        let plan = try CompressionPlan(
            uniform: settings, for: checkpoint, configuration, source: fingerprint)
        var journal = settings.description
        journal["source"] = .string(fingerprint.hex)
        if settings.isWeighted { journal["calibration"] = .string(calibration.origin) }

        var run: CompressionRun?
        if try !CompressionRun.isPublished(output, journal: journal) {
            guard overwrite || !FileManager.default.fileExists(atPath: output) else {
                throw CompressError.outputExists(output)
            }
            run = try CompressionRun(
                for: output, layers: configuration.layerCount, journal: journal, restart: restart)
        }
        var records: [CompressionReport.Matrix] = []
        var tokens = 0
        if let run {
            (records, tokens) = try withoutGradients {
                try compress(checkpoint, configuration, plan, in: run, progress)
            }
            try writeManifest(plan, checkpoint, in: run)
            try CompanionFiles.copy(from: source, to: run.folder)
            try run.publish(overwrite: overwrite)
        }
        let compressed = try Checkpoint(output)
        let before = configuration.linearModules.reduce(0) { $0 + $1.rows * $1.columns }
        return CompressionReport(
            source: source, output: output, matrices: records, linearParametersBefore: before,
            linearParametersAfter: try plan.parameterCount(), bytesBefore: checkpoint.byteCount,
            bytesAfter: compressed.byteCount, calibrationTokens: tokens,
            seconds: Date().timeIntervalSince(start))
    }

    // MARK: Blocks

    private func compress(
        _ checkpoint: Checkpoint, _ configuration: ModelConfiguration, _ plan: CompressionPlan,
        in run: CompressionRun, _ progress: Progress
    ) throws -> (records: [CompressionReport.Matrix], tokens: Int) {
        let windows = settings.isWeighted ? try run.calibrationWindows(calibration) : []
        try check(windows, configuration)
        let compressor = BlockCompressor(
            checkpoint: checkpoint, configuration: configuration, plan: plan, settings: settings,
            device: device)
        func states(_ layer: Int) -> HiddenStateFile {
            HiddenStateFile(
                path: run.statesPath(layer), windows: windows.count, tokens: windows.first?.count ?? 0,
                hidden: configuration.hiddenSize)
        }
        let stepsPerBlock = windows.count + Projection.allCases.count
        let total = configuration.layerCount * stepsPerBlock
        var done = 0
        func step(_ note: String) throws {
            done += 1
            try progress(done, total, note)
        }

        if !run.isDone(0) { try writeEnds(checkpoint, configuration, in: run) }
        var records: [CompressionReport.Matrix] = []
        for layer in 0..<configuration.layerCount {
            if run.isDone(layer + 1) {
                records += try BlockRecord.read(run.recordPath(layer))
                done += stepsPerBlock
                try progress(done, total, "block \(layer) was done")
                continue
            }
            var moments: InputMoments?
            if settings.isWeighted {
                if layer == 0, !states(0).exists {
                    try embed(windows, checkpoint, configuration, into: states(0))
                }
                let isLast = layer == configuration.layerCount - 1
                moments = try compressor.observe(
                    layer, try states(layer).open(), windows: windows.count,
                    next: isLast ? nil : states(layer + 1)
                ) { try step("block \(layer)") }
            }
            let fitted = try compressor.fit(layer, moments, step: step)
            try BlockRecord.write(fitted.map(\.record), to: run.recordPath(layer))
            try writeBlock(layer, fitted, checkpoint, configuration, in: run)
            records += fitted.map(\.record)
            // No later run reads these again: the block's shard and the next states are on disk.
            if settings.isWeighted { try states(layer).remove() }
        }
        return (records, windows.count * (windows.first?.count ?? 0))
    }

    private func check(_ windows: [[Int]], _ configuration: ModelConfiguration) throws {
        guard !settings.isWeighted || !windows.isEmpty else { throw CompressError.noCalibration }
        for window in windows {
            if let token = window.first(where: { !(0..<configuration.vocabularySize).contains($0) }) {
                throw CompressError.calibrationToken(token, vocabulary: configuration.vocabularySize)
            }
        }
    }

    private func embed(
        _ windows: [[Int]], _ checkpoint: Checkpoint, _ configuration: ModelConfiguration,
        into states: HiddenStateFile
    ) throws {
        let ends = try ModelEnds(
            of: configuration, from: WeightLoader(checkpoint, as: .float32, on: .cpu))
        try states.write { window in
            try ends.embed(try Tensor(windows[window], shape: [1, windows[window].count]))
        }
    }

    // MARK: Shards

    private func writeEnds(
        _ checkpoint: Checkpoint, _ configuration: ModelConfiguration, in run: CompressionRun
    ) throws {
        let names = checkpoint.tensorNames.filter { !$0.hasPrefix("model.layers.") }
        try writeShard(0, copying: names, adding: [:], checkpoint, in: run)
    }

    private func writeBlock(
        _ layer: Int, _ fitted: [BlockCompressor.Fitted], _ checkpoint: Checkpoint,
        _ configuration: ModelConfiguration, in run: CompressionRun
    ) throws {
        let replaced = Set(configuration.linearModules(ofLayer: layer).map(\.weight.name))
        let names = checkpoint.tensorNames.filter {
            $0.hasPrefix(DecoderBlock.prefix(layer)) && !replaced.contains($0)
        }
        var parts: [String: Tensor] = [:]
        for matrix in fitted {
            for (part, tensor) in matrix.network.parts {
                guard let name = matrix.matrix.patches.first?.tensors[part] else {
                    preconditionFailure("a manifest entry names every part of its format")
                }
                parts[name] = try tensor.moved(to: .cpu)
            }
        }
        try writeShard(layer + 1, copying: names, adding: parts, checkpoint, in: run)
    }

    private func writeShard(
        _ shard: Int, copying names: [String], adding parts: [String: Tensor],
        _ checkpoint: Checkpoint, in run: CompressionRun
    ) throws {
        let copied = names.compactMap { checkpoint.info($0) }
        let added = parts.map { TensorInfo(name: $0.key, of: $0.value) }
        let writer = try SafetensorsWriter(run.shardPath(shard), declaring: copied + added)
        for name in names {
            if checkpoint.info(name)?.elementType.isFloatingPoint == true {
                try checkpoint.requireFinite(name)
            }
            try writer.write(try checkpoint.tensor(named: name), named: name)
            try checkpoint.release(name)
        }
        for (name, tensor) in parts { try writer.write(tensor, named: name) }
        try writer.finish()
    }

    // MARK: Folder

    private func writeManifest(
        _ plan: CompressionPlan, _ checkpoint: Checkpoint, in run: CompressionRun
    ) throws {
        let manifest = try CompressionManifest(
            source: plan.source, plan: plan, matrices: try plan.matrices.map(CompressedMatrix.init))
        try manifest.write(to: run.folder)
        let shards = (0..<run.shardCount).map { run.shardName($0) }
        try ShardIndex.write(shards, in: run.folder)
    }
}
