// One dense checkpoint, compressed by one method after the other. What methods share, the moments of its layers and its
// sensitivity map, is made once.
import Analyze
import Artifacts
import Calibration
import Compress
import Models
import Tensors

package final class MethodCompressor {
    package let source: String
    let fingerprint: Fingerprint
    let moments: MomentCache
    private let calibration: [[Int]]
    private let seed: UInt64
    private let device: Device
    private let cache: String
    private let checkpoint: Checkpoint
    private let configuration: ModelConfiguration
    private let planner: MethodPlanner

    /// Opens the checkpoint, and computes nothing yet.
    /// - Parameters:
    ///   - source: folder of a dense checkpoint.
    ///   - calibration: windows of equally many token ids.
    ///   - seed: of the labels that are drawn from the model.
    ///   - oracle: a map of measured divergences, for the method of that name.
    ///   - cache: folder of moments that runs share.
    package init(
        _ source: String, calibration: [[Int]], seed: UInt64, oracle: SensitivityMap? = nil,
        on device: Device, cache: String = MomentCache.defaultRoot
    ) throws {
        configuration = try ModelConfiguration(folder: source)
        checkpoint = try Checkpoint(source)
        guard checkpoint.manifest == nil else {
            throw CompressError.alreadyCompressed(folder: source)
        }
        try checkpoint.validate(against: configuration)
        fingerprint = try checkpoint.fingerprint()
        moments = MomentCache(source: fingerprint, windows: calibration, seed: seed, in: cache)
        (self.source, self.calibration, self.seed) = (source, calibration, seed)
        (self.device, self.cache) = (device, cache)
        planner = MethodPlanner(
            checkpoint, configuration, source: fingerprint, device: device, oracle: oracle,
            moments: moments)
    }

    /// What the checkpoint's analysis found, where it was made or is known from before.
    package var map: SensitivityMap? {
        get { planner.map }
        set { planner.map = newValue }
    }

    /// Makes what the methods look at, before the first one's time is taken.
    package func prepare(
        _ methods: [ComparedMethod], _ progress: CompareStage.Progress
    ) throws {
        let extents = methods.compactMap { MethodPlanner.moments(of: $0) }
        if let most = extents.max(by: { $0.passes < $1.passes }) {
            var pass = try MomentPass(
                checkpoint, configuration, source: fingerprint, windows: calibration, seed: seed,
                extent: most, on: device, root: cache)
            pass.keeping = .everything
            try pass.run { try progress("moments", $0, $1, "\($2)") }
        }
        guard map == nil, methods.contains(where: MethodPlanner.readsMap) else { return }
        // As minima compress --keep does.
        var stage = AnalyzeStage(source: source, calibration: .text(calibration))
        stage.formats = AnalyzeStage.standardFormats
        (stage.seed, stage.device, stage.cache) = (seed, device, cache)
        map = try stage.run { try progress("analyze", $0, $1, "\($2)") }
    }

    /// - Throws: as `MethodPlanner.propose`.
    func propose(_ method: ComparedMethod, keep: Double) throws -> MethodPlanner.Proposal {
        try planner.propose(method, keep: keep)
    }

    /// Carries a proposal out, or goes on with one that was killed.
    func compress(
        _ proposal: MethodPlanner.Proposal, to output: String, overwrite: Bool,
        _ progress: CompressStage.Progress
    ) throws -> CompressionReport {
        var goal = CompressionSettings(.plan(proposal.plan))
        (goal.fit, goal.seed) = (proposal.fit, seed)
        var stage = CompressStage(
            source: source, output: output, settings: goal, calibration: .text(calibration))
        (stage.device, stage.overwrite, stage.cache) = (device, overwrite, cache)
        return try stage.run(progress: progress)
    }

    /// Compresses by a method that was prepared for, to a folder that is not there yet.
    package func compress(
        by method: ComparedMethod, keep: Double, to output: String,
        _ progress: (_ done: Int, _ total: Int, _ note: String) throws -> Void
    ) throws {
        _ = try compress(
            try propose(method, keep: keep), to: output, overwrite: false, progress)
    }
}
