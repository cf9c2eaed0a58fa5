// Counted before a weight is made: a machine that runs out of memory an hour later says less.
import Artifacts
import Foundation
import Generate
import Models
import TensorNetworks
import Tensors

/// What a benchmark holds at most, in bytes. Where a number is beyond `Int`, it is `Int.max`.
package struct BenchmarkMemory: Equatable, Sendable {
    /// What is computed of a model.
    package struct Load: Sendable {
        /// Sequences at once, and tokens that each comes to have.
        package var sequences: Int
        package var tokens: Int
        /// Tokens of one step, and predictions of one.
        package var stepTokens: Int
        package var predictions: Int
        /// Held besides, while no step is computed.
        package var otherBytes = 0
        /// Of a draft model's weights.
        package var draftBytes = 0

        package init(
            sequences: Int, tokens: Int, stepTokens: Int, predictions: Int, otherBytes: Int = 0,
            draftBytes: Int = 0
        ) {
            (self.sequences, self.tokens) = (sequences, tokens)
            (self.stepTokens, self.predictions) = (stepTokens, predictions)
            (self.otherBytes, self.draftBytes) = (otherBytes, draftBytes)
        }
    }

    /// The model's and a draft's.
    package let weights: Int
    /// Keys and values of the largest case.
    package let caches: Int
    /// The largest tensor in the making (float32, before it is converted), or a step's activations and logits, or what
    /// else the load holds: they are not there together.
    package let working: Int

    package init(
        _ source: WeightSource, _ configuration: ModelConfiguration, as type: ElementType,
        cache: ElementType? = nil, on device: Device, for load: Load
    ) throws(ManifestError) {
        let counts = try source.byteCounts(configuration, as: type)
        weights = Self.sum(
            counts + [try Self.relaidBytes(source, type, on: device), load.draftBytes])
        let cacheType = cache ?? Executor.cacheType(type, on: device)
        let block = PagedCache.byteCount(
            configuration, blocks: 1, blockTokens: MeasuredModel.blockTokens, as: cacheType)
        caches = Self.product([block, load.sequences, MeasuredModel.blocks(for: load.tokens)])
        let widths =
            3 * configuration.hiddenSize + 3 * configuration.intermediateSize
            + 2 * configuration.queryWidth + 2 * configuration.keyValueWidth
        let step = Self.sum([
            Self.product([load.stepTokens, widths, 4]),
            Self.product([load.predictions, configuration.vocabularySize, 8]),
        ])
        var making = 0
        if case .random = source {
            making = Self.product([(counts.max() ?? 0) / type.byteCount, 4])
        }
        working = max(step, making, load.otherBytes)
    }

    package var total: Int { Self.sum([weights, caches, working]) }

    /// Bytes that are there for the taking: what no process holds of a GPU, what Linux says is available of the host.
    package static func available(on device: Device) throws -> Int {
        guard device == .cpu else { return try TorchRuntime.freeMemory(on: device) }
        let text = try String(contentsOfFile: "/proc/meminfo", encoding: .utf8)
        guard
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
            let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first
                .flatMap({ Int($0) })
        else { throw BenchmarkMemoryError.unknown }
        return kibibytes << 10
    }

    /// - Throws: `BenchmarkMemoryError` where there is less than all of it.
    package func require(_ available: Int, on device: Device) throws(BenchmarkMemoryError) {
        guard total <= available else {
            throw .tooLittle(self, available: available, device: device)
        }
    }

    /// What runners lay out anew: a CPU's trains, and whatever is pivoted but a pair; a GPU's all but pairs, multiplied out.
    private static func relaidBytes(
        _ source: WeightSource, _ type: ElementType, on device: Device
    ) throws(ManifestError) -> Int {
        var bytes = 0
        for patch in source.compressedPatches where !patch.format.isReadInPlace(on: device) {
            do {
                let (rows, columns) = (patch.region.rows.count, patch.region.columns.count)
                // A GPU multiplies networks out.
                let values =
                    try device == .cpu
                    ? patch.format.parameterCount(rows: rows, columns: columns) : rows * columns
                bytes += values * type.byteCount
            } catch {
                throw .format(error, matrix: "\(patch.region)")
            }
        }
        return bytes
    }

    private static func sum(_ numbers: [Int]) -> Int {
        numbers.reduce(0) { sum, number in
            let (next, overflow) = sum.addingReportingOverflow(number)
            return overflow ? .max : next
        }
    }

    private static func product(_ numbers: [Int]) -> Int {
        numbers.reduce(1) { product, number in
            let (next, overflow) = product.multipliedReportingOverflow(by: number)
            return overflow ? .max : next
        }
    }
}

extension Format {
    fileprivate func isReadInPlace(on device: Device) -> Bool {
        switch self {
        case .dense, .lowRank, .pivotedLowRank: true
        case .tucker, .tensorRing, .blockTerm: device == .cpu
        case .tensorTrain, .pivoted, .mixture: false
        }
    }
}

package enum BenchmarkMemoryError: Error, CustomStringConvertible {
    case tooLittle(BenchmarkMemory, available: Int, device: Device)
    /// The system does not say what is available.
    case unknown

    package var description: String {
        switch self {
        case .tooLittle(let need, let available, let device):
            "\(Self.words(need.weights)) of weights, \(Self.words(need.caches)) of keys and values and \(Self.words(need.working)) to work in are \(Self.words(need.total)), and \(device) has \(Self.words(available)) left"
        case .unknown: "/proc/meminfo does not say how much memory is available"
        }
    }

    private static func words(_ bytes: Int) -> String {
        bytes == .max ? "more than 8 EiB" : String(format: "%.2f GiB", Double(bytes) / 0x1p30)
    }
}
