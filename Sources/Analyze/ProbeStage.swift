// map + sample of its candidates → measurements, in the store.
//
// A probe fits one candidate, puts it alone into the dense model and measures what it does to the
// model's predictions on a little text. Probes are grouped by block; a lock per block keeps two runs
// from measuring the same, while they share the work of different blocks. Every measurement is
// committed when it is made: a killed run goes on where it was.
import Artifacts
import Calibration
import Foundation
import Models
import TensorNetworks
import Tensors

package struct ProbeStage {
    package let analysis: AnalyzeStage
    package let map: SensitivityMap
    package let store: MeasurementStore
    /// Tokens that each probe reads.
    package var tokens = ProbeText.defaultTokens
    /// Recorded with every measurement.
    package var program = "minima"

    /// - Parameters:
    ///   - analysis: the run that made `map`; its moments are used again.
    package init(_ analysis: AnalyzeStage, map: SensitivityMap, store: MeasurementStore) {
        self.analysis = analysis
        self.map = map
        self.store = store
    }

    /// What the probes of a run have in common.
    private struct Context {
        let checkpoint: Checkpoint
        let configuration: ModelConfiguration
        let cache: MomentCache
        let text: ProbeText
        let fit: String
    }

    /// Probes done of how many, and what the last one was.
    package typealias Progress = (_ done: Int, _ total: Int, _ note: String) throws -> Void

    /// Measures what the store does not hold yet.
    /// - Parameter progress: probes done of how many; throwing from it ends the run between two probes.
    /// - Returns: one measurement per probe, in their order.
    package func run(
        _ sample: [Probe], progress: Progress = { _, _, _ in }
    ) throws -> [ProbeMeasurement] {
        guard !sample.isEmpty else { return [] }
        let context = try context()
        try store.insert(ModelFeatures(of: map, in: context.checkpoint))
        var found: [Probe: ProbeMeasurement] = [:]
        func report(_ note: String) throws { try progress(found.count, sample.count, note) }
        for probe in sample { found[probe] = try store.measurement(key(probe, context)) }
        try report("from the store")

        var dense: DenseRun?
        var pending = byBlock(sample.filter { found[$0] == nil })
        while let (layer, lock) = try nextBlock(
            pending.map(\.layer), context, tick: { try report("waiting") })
        {
            try withExtendedLifetime(lock) {
                let probes = pending.first { $0.layer == layer }?.probes ?? []
                // Another run may have measured them while this one waited.
                for probe in probes { found[probe] = try store.measurement(key(probe, context)) }
                let left = probes.filter { found[$0] == nil }
                if !left.isEmpty {
                    let run = try dense ?? denseRun(context)
                    dense = run
                    try withoutGradients {
                        try measure(left, context, run) { probe, measurement in
                            found[probe] = measurement
                            try report(measurement.key.matrix)
                        }
                    }
                }
            }
            pending.removeAll { $0.layer == layer }
            try report("block \(layer)")
        }
        return try sample.map { probe in
            guard let measurement = found[probe] else {
                throw MeasurementStoreError.damaged(
                    file: store.path, reason: "a measurement has vanished")
            }
            return measurement
        }
    }

    /// The key under which a probe's measurement is stored.
    package func keys(of sample: [Probe]) throws -> [ProbeMeasurement.Key] {
        let context = try context()
        return try sample.map { try key($0, context) }
    }

    // MARK: Order

    private func context() throws -> Context {
        let source = try analysis.folder()
        if let patch = map.matrices.first(where: { $0.region != nil }) {
            throw AnalyzeError.probesOfPatches(matrix: patch.name)
        }
        let configuration = try ModelConfiguration(folder: source)
        let checkpoint = try Checkpoint(source)
        let windows = try analysis.calibration.windows(of: map.source, keptIn: analysis.cache)
        var pass = try MomentPass(
            checkpoint, configuration, source: map.source, windows: windows, seed: analysis.seed,
            on: analysis.device, root: analysis.cache)
        pass.keeping = .everything
        // Nothing to do, but where somebody has emptied the cache since.
        try pass.run { _, _, _ in }
        return Context(
            checkpoint: checkpoint, configuration: configuration, cache: pass.cache,
            text: ProbeText(of: windows, tokens: tokens),
            fit: try MeasurementStore.json(
                ProbeSettings(
                    moments: (pass.cache.folder as NSString).lastPathComponent,
                    shrinkage: analysis.shrinkage, outputShrinkage: analysis.outputShrinkage)))
    }

    private func key(_ probe: Probe, _ context: Context) throws -> ProbeMeasurement.Key {
        let matrix = map.matrices[probe.matrix]
        return ProbeMeasurement.Key(
            checkpoint: map.source, text: context.text.fingerprint, matrix: matrix.name,
            region: MatrixRegion(rows: 0..<matrix.rows, columns: 0..<matrix.columns),
            format: matrix.candidates[probe.candidate].format, fit: context.fit)
    }

    private func place(_ probe: Probe) -> MatrixPlace {
        guard let place = MatrixPlace(name: map.matrices[probe.matrix].name) else {
            preconditionFailure("only projections of blocks are sampled")
        }
        return place
    }

    private func byBlock(_ probes: [Probe]) -> [(layer: Int, probes: [Probe])] {
        Dictionary(grouping: probes) { place($0).layer }
            .sorted { $0.key < $1.key }
            .map { layer, probes in
                (layer, probes.sorted { ($0.matrix, $0.candidate) < ($1.matrix, $1.candidate) })
            }
    }

    /// The first of the blocks that no other run is at, with its lock; waits where all are taken.
    private func nextBlock(
        _ layers: [Int], _ context: Context, tick: () throws -> Void
    ) throws -> (layer: Int, lock: FileLock)? {
        guard let first = layers.first else { return nil }
        func path(_ layer: Int) -> String { "\(context.cache.folder)/probe-\(layer).lock" }
        for layer in layers {
            if let lock = try FileLock.attempt(path(layer)) { return (layer, lock) }
        }
        return (first, try FileLock.wait(path(first), tick: tick))
    }

    private func denseRun(_ context: Context) throws -> DenseRun {
        try withoutGradients {
            try DenseRun(
                CausalLanguageModel(
                    context.checkpoint, context.configuration, as: .float32, on: analysis.device),
                windows: context.text.windows)
        }
    }

    // MARK: One probe

    /// - Parameter probes: sorted by matrix, so that one fit serves all candidates of a matrix.
    private func measure(
        _ probes: [Probe], _ context: Context, _ dense: DenseRun,
        done: (Probe, ProbeMeasurement) throws -> Void
    ) throws {
        var fit: (matrix: Int, fit: CandidateFit)?
        for probe in probes {
            let matrix = map.matrices[probe.matrix]
            let place = place(probe)
            if fit?.matrix != probe.matrix {
                fit = (probe.matrix, try candidateFit(matrix, place, context))
            }
            guard let current = fit?.fit else { preconditionFailure("a fit was just made") }
            let candidate = matrix.candidates[probe.candidate]
            let (weight, outputError) = try current.fit(candidate.format)
            let measurement = ProbeMeasurement(
                key: try key(probe, context),
                divergence: try dense.divergence(replacing: place, by: weight),
                outputError: outputError, price: candidate.predictedKL,
                parameters: candidate.parameters, tokens: context.text.tokens,
                date: Date().formatted(.iso8601), program: program)
            try store.insert(measurement)
            TorchRuntime.releaseUnusedMemory()
            try done(probe, measurement)
        }
    }

    private func candidateFit(
        _ matrix: MatrixSensitivity, _ place: MatrixPlace, _ context: Context
    ) throws -> CandidateFit {
        try CandidateFit(
            weight: WeightLoader(context.checkpoint, as: .float64, on: analysis.device)
                .tensor("\(matrix.name).weight"),
            input: context.cache.moment(of: place.projection.input, layer: place.layer)
                .moved(to: analysis.device),
            output: context.cache.moment(of: place.projection, layer: place.layer)
                .moved(to: analysis.device),
            shrinkage: analysis.shrinkage, outputShrinkage: analysis.outputShrinkage,
            as: matrix.elementType, name: matrix.name)
    }
}
