import Artifacts
import TensorNetworks

/// What a decode step of a model takes, one token of each of some sequences, by measured times: the sum of
/// its matrices and of what is the same for every plan.
package struct DecodeTime: Hashable, Sendable {
    package let context: Int
    package let sequences: Int
    /// Outside of the linear layers: per block norms and attention over the whole context, and the head.
    package let otherSeconds: Double
    private let times: KernelTimes.Batch
    private let dense: KernelTimes.FormatTime

    /// - Parameters:
    ///   - context: tokens that each sequence has seen.
    ///   - sequences: one of the numbers that were measured.
    package init(
        _ table: KernelTimes, for configuration: ModelConfiguration, context: Int, sequences: Int
    ) throws(PlanError) {
        // Also checks the context, and that its values can be counted.
        _ = try MemoryNeed(configuration, context: context, concurrency: sequences)
        guard let times = table.batches.first(where: { $0.sequences == sequences }) else {
            throw .noBatch(sequences, measured: table.batches.map(\.sequences))
        }
        guard let dense = times.time(of: .dense) else {
            preconditionFailure("a table of times was checked to have dense")
        }
        self.times = times
        self.context = context
        self.sequences = sequences
        // A sliding window reads no more of the cache than it is long.
        let read = configuration.slidingWindows.reduce(0.0) { sum, window in
            sum + Double(min(window ?? context, context))
        }
        let cached = read * Double(2 * configuration.keyValueWidth * sequences)
        self.dense = dense
        otherSeconds =
            Double(configuration.layerCount) * times.block.fixedSeconds
            + cached * times.block.secondsPerCachedValue
            + dense.seconds(values: configuration.vocabularySize * configuration.hiddenSize)
    }

    /// Of a step with no matrix compressed.
    package func denseStepSeconds(of map: SensitivityMap) -> Double {
        map.matricesByName.reduce(otherSeconds) { sum, patches in
            sum + dense.seconds(values: patches.reduce(0) { $0 + $1.rows * $1.columns })
        }
    }

    /// Of one matrix or patch that stores `values` values.
    func seconds(_ format: Format, values: Int) throws(PlanError) -> Double {
        guard let time = times.time(of: format.kind) else { throw .noTimes(format.kind) }
        return time.seconds(values: values)
    }
}

/// How fast a plan must be.
package struct DecodeGoal: Hashable, Sendable {
    package let time: DecodeTime
    /// Tokens per second of each sequence, at least; `nil` only predicts.
    package let tokensPerSecond: Double?

    package init(_ time: DecodeTime, tokensPerSecond: Double? = nil) {
        self.time = time
        self.tokensPerSecond = tokensPerSecond
    }

    /// What a step's linear layers may take.
    var linearSeconds: Double? {
        tokensPerSecond.map { 1 / $0 - time.otherSeconds }
    }
}
