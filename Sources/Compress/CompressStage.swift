// dense checkpoint + calibration text → compressed checkpoint, block by block.
//
// For each block: run it over the calibration text's hidden states, collect the second moments of what
// its linear layers read, write the states for the next block, fit the matrices, write them. Memory
// holds one block, one window of text and the moments, whatever the model's size; what is finished is
// on disk under names that a later run finds (see CompressionRun).
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
        let plan = try CompressionPlan(
            uniform: settings, for: checkpoint, configuration,
            source: try checkpoint.fingerprint())
        var journal = settings.description
        journal["source"] = .string(plan.source.hex)
        if settings.isWeighted { journal["calibration"] = .string(calibration.origin) }

        let folder = try OutputFolder(
            output, overwrite: try overwrite || isComplete(plan, journal: journal))
        let run = try CompressionRun(for: folder.path, journal: journal, restart: restart)
        let (records, tokens) = try withoutGradients {
            try compress(checkpoint, configuration, plan, in: run, progress)
        }
        if try !isComplete(plan, journal: journal) {
            try write(plan, checkpoint, configuration, in: run, to: folder)
        }
        try CompressionRun.end(for: folder.path)
        let compressed = try Checkpoint(folder.path)
        return CompressionReport(
            source: source, output: output, matrices: records,
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
            try CompressionRun.isOpen(for: output, journal: journal)
        else { return false }
        return (try? Checkpoint(output))?.manifest?.plan == plan
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
                path: run.statesPath(layer), windows: windows.count,
                tokens: windows.first?.count ?? 0, hidden: configuration.hiddenSize)
        }
        let stepsPerBlock = windows.count + Projection.allCases.count
        let total = configuration.layerCount * stepsPerBlock
        var done = 0
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
            try writeParts(of: fitted, to: run.partsPath(layer))
            records += fitted.map(\.record)
            // No later run reads these again: the block's matrices and the next states are on disk.
            if settings.isWeighted { try states(layer).remove() }
        }
        return (records, windows.count * (windows.first?.count ?? 0))
    }

    private func check(_ windows: [[Int]], _ configuration: ModelConfiguration) throws {
        guard !settings.isWeighted || !windows.isEmpty else { throw CompressError.noCalibration }
        for window in windows {
            if let token = window.first(where: { !(0..<configuration.vocabularySize).contains($0) })
            {
                throw CompressError.calibrationToken(
                    token, vocabulary: configuration.vocabularySize)
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

    // MARK: Files

    private func writeParts(of fitted: [BlockCompressor.Fitted], to path: String) throws {
        var parts: [(name: String, tensor: Tensor)] = []
        for matrix in fitted {
            for (part, tensor) in matrix.network.parts {
                guard let name = matrix.matrix.patches.first?.tensors[part] else {
                    preconditionFailure("a manifest entry names every part of its format")
                }
                parts.append((name, try tensor.moved(to: .cpu)))
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
        let replaced = Set(configuration.linearModules.map(\.weight.name))
        let kept = checkpoint.tensorNames.filter { !replaced.contains($0) }
        for name in kept where checkpoint.info(name)?.elementType.isFloatingPoint == true {
            try checkpoint.requireFinite(name)
        }
        let blocks = try (0..<configuration.layerCount).map {
            try SafetensorsFile(run.partsPath($0))
        }
        let manifest = try CompressionManifest(
            source: plan.source, plan: plan, matrices: try plan.matrices.map(CompressedMatrix.init))
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
