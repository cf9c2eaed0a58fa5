import Analyze
import ArgumentParser
import Artifacts
import Foundation

/// How a map's prices are calibrated.
struct ProbeOptions: ParsableArguments {
    @Option(
        help:
            "Candidates to measure in the model, as 64; the others are predicted from them. 0: prices stay as computed, as in `minima compress --keep`."
    )
    var probes = 0

    @Option(
        help: "Weights of `minima predictor train`, learnt from other models.", completion: .file())
    var predictor: String?

    @OptionGroup var stored: StoreOptions

    func validate() throws {
        guard probes >= 0 else { throw ValidationError("--probes must be 0 or more") }
    }

    /// The map with calibrated prices; the map itself without probes and weights.
    func calibrated(
        _ map: SensitivityMap, of analysis: AnalyzeStage, isQuiet: Bool
    ) throws -> SensitivityMap {
        let prior = try predictor.map { try SensitivityPredictor(reading: $0) }
        guard probes > 0 || prior != nil else { return map }
        var measurements: [ProbeMeasurement] = []
        if probes > 0 {
            var stage = ProbeStage(analysis, map: map, store: try stored.open())
            stage.program = Minima.program
            measurements = try stage.run(
                ProbeSample.stratified(map, count: probes, seed: analysis.seed), isQuiet: isQuiet)
        }
        let calibrated = try CalibratedPredictor(
            measurements,
            features: ModelFeatures(of: map, in: Checkpoint(analysis.folder())), prior: prior,
            seed: analysis.seed)
        return try map.calibrated(
            by: calibrated, measurements, settings: calibrated.settings)
    }
}
