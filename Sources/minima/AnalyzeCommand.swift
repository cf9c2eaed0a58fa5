import Analyze
import ArgumentParser
import Artifacts
import Foundation
import TensorNetworks
import Tensors

struct AnalyzeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "analyze",
        abstract: "Learn what compressing each matrix would cost.",
        discussion: """
            Runs the model over calibration text, forward and backward, and prices every rank of every \
            matrix: the rise of the model's KL divergence, to second order, if that matrix alone were \
            compressed. With --probes a few candidates are measured in the model as well, and the prices of \
            all are calibrated by what was measured. The map that it writes is what `minima plan` spends a \
            budget with. Memory holds one block at a time. What was observed is kept in $MINIMA_CACHE (default ~/.cache/minima): a \
            run that is killed goes on where it was, and `minima compress` uses the same observations.

              minima analyze Models/tiny --calibration text.txt.xz --output sensitivity.json
              minima plan sensitivity.json --keep 0.65 --output plan.json
              minima compress Models/tiny --plan plan.json --calibration text.txt.xz --output tiny-65
            """)

    @Argument(help: "Folder of the dense model.", completion: .directory)
    var model: String

    @Option(name: .shortAndLong, help: "Map to write, as in sensitivity.json.", completion: .file())
    var output: String

    @OptionGroup var calibration: CalibrationOptions
    @OptionGroup var probing: ProbeOptions

    @Option(help: "Shrinkage of the input moments towards a multiple of the identity, from 0 to 1.")
    var shrinkage = 0.01

    @OptionGroup var candidates: CandidateOptions

    @Option(
        help:
            "How matrices are cut into patches that are planned one by one: whole, heads, or blocks as in 2x2."
    )
    var patches: Patching = .whole

    @Flag(help: "Replace the map if it exists.")
    var overwrite = false

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var result: OutputOptions

    func validate() throws {
        guard shrinkage >= 0, shrinkage <= 1 else {
            throw ValidationError("--shrinkage must be from 0 to 1")
        }
    }

    func run() throws {
        let map = try made()
        if result.json {
            try result.printJSON(map)
        } else {
            print(map.table + "\n\nwritten  \(output)")
        }
    }

    /// Analyses the model and writes the map.
    func made() throws -> SensitivityMap {
        guard overwrite || !FileManager.default.fileExists(atPath: output) else {
            throw MapExists(file: output)
        }
        let device = try compute.resolve()
        let isQuiet = result.quiet || result.json
        var stage = AnalyzeStage(
            source: model,
            calibration: try calibration.text(for: model, on: device, isQuiet: isQuiet))
        stage.shrinkage = shrinkage
        stage.formats = candidates.formats
        stage.patching = patches
        stage.seed = calibration.seed
        stage.device = device
        let map = try probing.calibrated(
            Self.run(stage, isQuiet: isQuiet), of: stage, isQuiet: isQuiet)
        try map.write(output)
        return map
    }

    /// Runs the stage under a progress line.
    static func run(_ stage: AnalyzeStage, isQuiet: Bool) throws -> SensitivityMap {
        let line = ProgressLine("analyze", unit: "steps", total: nil, isQuiet: isQuiet)
        defer { line.finish() }
        return try stage.run { done, total, step in
            try line.update(done, of: total, note: "\(step)")
        }
    }
}

extension Patching: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }

    package var defaultValueDescription: String { description }
}

struct MapExists: Error, CustomStringConvertible {
    let file: String

    var description: String { "\(file) exists; choose another output or pass --overwrite" }
}

extension SensitivityMap {
    /// What halving each matrix would cost, which says more to a reader than all its ranks.
    fileprivate var table: String {
        let header = [
            "matrix", "size", "score", "entropy", "KL at 0.80", "KL at 0.65", "KL at 0.50",
        ]
        let rows = matrices.map { matrix in
            [
                matrix.label, "\(matrix.rows) × \(matrix.columns)",
                String(format: "%.2f", matrix.score), String(format: "%.2f", matrix.entropy),
            ]
                + [0.8, 0.65, 0.5].map { keep in
                    matrix.predictedKL(keep: keep).map { String(format: "%.6f", $0) } ?? "–"
                }
        }
        return ([header] + rows).columns(texts: 2)
    }
}

extension MatrixSensitivity {
    /// Of the largest candidate that keeps at most this share of the parameters.
    fileprivate func predictedKL(keep: Double) -> Double? {
        let budget = Int(keep * Double(rows * columns))
        return candidates.filter { $0.parameters <= budget }
            .max { $0.parameters < $1.parameters }?.predictedKL
    }
}
