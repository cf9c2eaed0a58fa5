import TensorNetworks
import Tensors

/// `kernel-times.json`: what a decode step's parts take on one machine, as `minima bench kernels` measured
/// it. A plan that must reach a speed goes by it.
package struct KernelTimes: JSONArtifact, Hashable, Sendable {
    package static let noun = "table of kernel times"
    package static let currentVersion = 1
    package static let largestFile = 1 << 20

    package let version: Int
    /// As people call it, as in "NVIDIA H200".
    package let device: String
    /// What the model computes in.
    package let elementType: ElementType
    /// What was measured: libtorch's version, threads, shapes…
    package let settings: [String: JSONValue]
    /// One per number of sequences, ascending.
    package let batches: [Batch]

    package init(
        device: String, elementType: ElementType, settings: [String: JSONValue], batches: [Batch]
    ) {
        version = Self.currentVersion
        self.device = device
        self.elementType = elementType
        self.settings = settings
        self.batches = batches
    }

    /// A step that computes one token of each of some sequences.
    package struct Batch: Codable, Hashable, Sendable {
        package let sequences: Int
        /// One per kind.
        package let formats: [FormatTime]
        package let block: BlockTime

        package init(sequences: Int, formats: [FormatTime], block: BlockTime) {
            self.sequences = sequences
            self.formats = formats
            self.block = block
        }

        package func time(of kind: Format.Kind) -> FormatTime? {
            formats.first { $0.kind == kind }
        }
    }

    /// seconds = fixedSeconds + secondsPerValue · (values that the matrix stores).
    package struct FormatTime: Codable, Hashable, Sendable {
        package let kind: Format.Kind
        package let fixedSeconds: Double
        package let secondsPerValue: Double
        /// Root mean square of (seconds − measured) / measured.
        package let error: Double
        /// Matrices measured.
        package let samples: Int

        package init(
            kind: Format.Kind, fixedSeconds: Double, secondsPerValue: Double, error: Double,
            samples: Int
        ) {
            self.kind = kind
            self.fixedSeconds = fixedSeconds
            self.secondsPerValue = secondsPerValue
            self.error = error
            self.samples = samples
        }

        package func seconds(values: Int) -> Double {
            fixedSeconds + secondsPerValue * Double(values)
        }

        private enum CodingKeys: String, CodingKey {
            case error, samples
            case kind = "format"
            case fixedSeconds = "fixed_seconds"
            case secondsPerValue = "seconds_per_value"
        }
    }

    /// What a decoder block takes besides its linear layers: norms, rotation, attention.
    package struct BlockTime: Codable, Hashable, Sendable {
        package let fixedSeconds: Double
        /// Per cached key or value element that attention reads, of all sequences together.
        package let secondsPerCachedValue: Double

        package init(fixedSeconds: Double, secondsPerCachedValue: Double) {
            self.fixedSeconds = fixedSeconds
            self.secondsPerCachedValue = secondsPerCachedValue
        }

        private enum CodingKeys: String, CodingKey {
            case fixedSeconds = "fixed_seconds"
            case secondsPerCachedValue = "seconds_per_cached_value"
        }
    }

    private enum CodingKeys: String, CodingKey {
        case version, device, settings, batches
        case elementType = "dtype"
    }

    package func validate() throws(ManifestError) {
        guard version == Self.currentVersion else { throw .version(version, Self.currentVersion) }
        guard elementType.isFloatingPoint else {
            throw .time("dtype", "is \(elementType.rawValue), which no model computes in")
        }
        guard !batches.isEmpty else { throw .time("batches", "is empty") }
        var last = 0
        for batch in batches {
            guard batch.sequences > last else {
                throw .time("sequences", "does not ascend from 1")
            }
            last = batch.sequences
            try Self.requireTime(batch.block.fixedSeconds, "block.fixed_seconds")
            try Self.requireTime(
                batch.block.secondsPerCachedValue, "block.seconds_per_cached_value")
            var kinds: Set<Format.Kind> = []
            for format in batch.formats {
                guard kinds.insert(format.kind).inserted else {
                    throw .time("formats", "has \(format.kind.rawValue) twice")
                }
                try Self.requireTime(format.fixedSeconds, "fixed_seconds")
                try Self.requireTime(format.secondsPerValue, "seconds_per_value")
                try Self.requireTime(format.error, "error")
            }
            guard kinds.contains(.dense) else { throw .time("formats", "lacks dense") }
        }
    }

    private static func requireTime(_ value: Double, _ key: String) throws(ManifestError) {
        guard value.isFinite, value >= 0 else {
            throw .time(key, "is \(value), not a finite number from 0")
        }
    }
}
