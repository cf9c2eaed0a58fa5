// What the parts of a decode step take: linear layers in every format, and the rest of a block. As the
// program runs them, with random weights that were not used just before: on a GPU our own kernels, replayed as a graph; on a
// CPU one operation after the other.
import Artifacts
import Generate
import Models
import TensorNetworks
import Tensors

/// Measures a `KernelTimes` for the shapes of one model.
package struct KernelBenchmark {
    package let configuration: ModelConfiguration
    /// Dense is always among them.
    package var kinds: [Format.Kind] = [.pivotedLowRank, .mixture]
    /// Numbers of sequences, one token each.
    package var batches = [1]
    /// Sizes of the networks, as shares of the dense matrix.
    package var shares = [0.25, 0.5, 0.65, 0.8]
    /// Tokens that the sequences have seen.
    package var contexts = [128, 2_048]
    package var elementType = ElementType.float32
    package var device = Device.cpu
    /// Spent on one measurement, about.
    package var seconds = 0.2
    /// The configuration with so many of its layers: a GPU's steps are measured with few of them.
    package var cutOff: ((_ layers: Int) throws -> ModelConfiguration)?

    package init(_ configuration: ModelConfiguration) { self.configuration = configuration }

    /// One matrix in one format, or one block at one context.
    package struct Sample: Codable, Sendable {
        /// A kind of format, or "block", or on a GPU "likeliest token" and "drawn token".
        package let kind: String
        package let sequences: Int
        package let rows: Int
        package let columns: Int
        /// That are read: of the matrix, or of the cache.
        package let values: Int
        package let seconds: Double
        /// Values · bytes each / the bandwidth of a pure read.
        package let floorSeconds: Double

        private enum CodingKeys: String, CodingKey {
            case kind, sequences, rows, columns, values, seconds
            case floorSeconds = "floor_seconds"
        }
    }

    package struct Result {
        package let times: KernelTimes
        package let samples: [Sample]
        /// Bytes per second that a sum over a large tensor reads.
        package let readBandwidth: Double
    }

    /// Memory over which the weights of one measurement are spread, so that no cache holds them: beyond
    /// the last-level caches of the processors and GPUs that there are.
    var spreadBytes = 256 << 20
    private static let mostCopies = 256

    /// - Parameter progress: called with the number of measurements made, and of all.
    package func run(progress: (_ done: Int, _ total: Int, _ note: String) throws -> Void) throws
        -> Result
    {
        try withoutGradients {
            // Four times as much as is spread: the rest of what a cache still holds hardly counts.
            let bandwidth = try stopwatch.readBandwidth(bytes: 4 * spreadBytes)
            let kinds = [.dense] + kinds.filter { $0 != .dense }
            let shapes = Set(configuration.linearModules(ofLayer: 0).map { [$0.rows, $0.columns] })
                .sorted { ($0[0], $0[1]) < ($1[0], $1[1]) }
            let each =
                shapes.count * (1 + (kinds.count - 1) * shares.count) + contexts.count
                + (runsKernels ? 2 : 0)
            let total = each * batches.count
            var samples: [Sample] = []
            var measured: [KernelTimes.Batch] = []
            func note(_ kind: String, _ sequences: Int) throws {
                try progress(samples.count, total, "\(kind), batch \(sequences)")
            }
            for sequences in batches.sorted() {
                var formats: [KernelTimes.FormatTime] = []
                for kind in kinds {
                    try note(kind.rawValue, sequences)
                    var ofKind: [Sample] = []
                    for shape in shapes {
                        for share in kind == .dense ? [1] : shares {
                            guard
                                let sample = try sample(
                                    kind, shape[0], shape[1], share, sequences, bandwidth)
                            else { continue }
                            ofKind.append(sample)
                            samples.append(sample)
                            try note(kind.rawValue, sequences)
                        }
                    }
                    guard !ofKind.isEmpty else { throw KernelBenchmarkError.noSize(kind) }
                    let line = LinearTime(ofKind.map { (Double($0.values), $0.seconds) })
                    formats.append(
                        KernelTimes.FormatTime(
                            kind: kind, fixedSeconds: line.fixed, secondsPerValue: line.slope,
                            error: line.error, samples: ofKind.count))
                }
                let dense = samples.filter {
                    $0.kind == Format.Kind.dense.rawValue && $0.sequences == sequences
                }
                let blocks = try contexts.map { context in
                    if let cutOff, runsKernels, configuration.layerCount > 1 {
                        return try block(context, sequences, bandwidth, cutOff, beside: dense)
                    }
                    return try block(context, sequences, bandwidth)
                }
                samples += blocks
                if runsKernels { samples += try draws(sequences, bandwidth) }
                try note("block", sequences)
                let line = LinearTime(blocks.map { (Double($0.values), $0.seconds) })
                measured.append(
                    KernelTimes.Batch(
                        sequences: sequences, formats: formats,
                        block: KernelTimes.BlockTime(
                            fixedSeconds: line.fixed, secondsPerCachedValue: line.slope)))
            }
            return Result(
                times: KernelTimes(
                    device: device.description, elementType: elementType,
                    settings: settings(bandwidth), batches: measured),
                samples: samples, readBandwidth: bandwidth)
        }
    }

    private func settings(_ bandwidth: Double) -> [String: JSONValue] {
        [
            "libtorch": .string(TorchRuntime.version), "threads": .integer(TorchRuntime.threads),
            "hidden_size": .integer(configuration.hiddenSize),
            "intermediate_size": .integer(configuration.intermediateSize),
            "contexts": .array(contexts.map { .integer($0) }),
            "shares": .array(shares.map { .number($0) }),
            "read_bytes_per_second": .number(bandwidth.rounded()),
        ]
    }

    var stopwatch: Stopwatch {
        var stopwatch = Stopwatch(device)
        stopwatch.seconds = seconds
        return stopwatch
    }

    func floor(_ values: Int, _ bandwidth: Double) -> Double {
        Double(values * elementType.byteCount) / bandwidth
    }

    /// - Returns: `nil` where no format of the kind is that small.
    private func sample(
        _ kind: Format.Kind, _ rows: Int, _ columns: Int, _ share: Double, _ sequences: Int,
        _ bandwidth: Double
    ) throws -> Sample? {
        let budget = Int(share * Double(rows * columns))
        guard
            let format = Format.fitting(
                kind, rows: rows, columns: columns, parameters: budget,
                rankMultiple: min(rows, columns) >= 1_024 ? 16 : 1)
        else { return nil }
        let values = try format.parameterCount(rows: rows, columns: columns)
        let copies = copies(of: values)
        let weights = try (0..<copies).map { copy in
            try weight(format, rows, columns, seed: UInt64(copy + 1))
        }
        let seconds = try seconds(of: weights, rows, columns, sequences)
        return Sample(
            kind: kind.rawValue, sequences: sequences, rows: rows, columns: columns,
            values: values, seconds: seconds, floorSeconds: floor(values, bandwidth))
    }

    /// Seconds of one product.
    private func seconds(
        of weights: [Linear.Weight], _ rows: Int, _ columns: Int, _ sequences: Int
    ) throws -> Double {
        if runsKernels, sequences <= DeviceProduct.mostSequences {
            return try DeviceProduct(
                weights, rows: rows, columns: columns, sequences: sequences
            ).time(seconds: seconds)
        }
        let layers = weights.map { Linear($0) }
        let x = try Tensor.noise([sequences, 1, columns], seed: 7, on: device)
            .converted(to: elementType)
        return try stopwatch.time { _ = try layers[$0 % layers.count](x) }
    }

    /// Whether steps are computed by kernels of our own, which take bfloat16.
    var runsKernels: Bool { device != .cpu && elementType == .bfloat16 }

    private func weight(
        _ format: Format, _ rows: Int, _ columns: Int, seed: UInt64
    ) throws -> Linear.Weight {
        guard format == .dense else {
            return .network(
                try Factorization.random(
                    format, rows: rows, columns: columns, seed: seed << 16, as: elementType,
                    on: device))
        }
        let values = try Tensor.noise([rows, columns], seed: seed, on: device)
        try values.scale(by: 1 / Double(columns).squareRoot())
        return .dense(try values.converted(to: elementType))
    }

    private func copies(of values: Int) -> Int {
        min(Self.mostCopies, max(2, spreadBytes / max(1, values * elementType.byteCount)))
    }

    /// A block's step less its linear layers.
    private func block(_ context: Int, _ sequences: Int, _ bandwidth: Double) throws -> Sample {
        let loader = WeightLoader(
            .random(RandomModel(configuration)), as: elementType, on: device)
        let modules = configuration.linearModules(ofLayer: 0)
        let values = modules.reduce(0) { $0 + $1.rows * $1.columns }
        let count = min(configuration.layerCount, copies(of: values))
        let blocks = try (0..<count).map { try DecoderBlock($0, of: configuration, from: loader) }
        let rotary = RotaryTables(configuration, type: elementType, device: device)
        var cache: KVCache? = KVCache(layers: count, capacity: context + 1)
        // Filled in pieces: a whole prompt's activations could exceed the memory.
        var seen = 0
        while seen < context {
            let tokens = min(256, context - seen)
            let x = try noise([sequences, tokens, configuration.hiddenSize], seed: seen)
            for block in blocks { _ = try block.forward(x, rotary: rotary, cache: &cache) }
            cache?.advance(by: tokens)
            seen += tokens
        }
        let x = try noise([sequences, 1, configuration.hiddenSize], seed: 3)
        let inputs = try Dictionary(
            uniqueKeysWithValues: Set(modules.map(\.columns)).map {
                ($0, try noise([sequences, 1, $0], seed: $0))
            })
        let products = Projection.allCases.map { projection in
            let columns = configuration.module(projection, ofLayer: 0).columns
            guard let input = inputs[columns] else {
                preconditionFailure("every module's width has an input")
            }
            return (projection, input)
        }
        let seconds = try stopwatch.difference(
            of: { call in
                // Each call writes behind the same context.
                _ = try blocks[call % count].forward(x, rotary: rotary, cache: &cache)
            },
            and: { call in
                for (projection, input) in products {
                    _ = try blocks[call % count][projection](input)
                }
            })
        let read = 2 * configuration.keyValueWidth * context * sequences
        return Sample(
            kind: "block", sequences: sequences, rows: context, columns: sequences, values: read,
            seconds: max(0, seconds), floorSeconds: floor(read, bandwidth))
    }

    private func noise(_ shape: [Int], seed: Int) throws -> Tensor {
        try Tensor.noise(shape, seed: UInt64(seed), on: device).converted(to: elementType)
    }
}

package enum KernelBenchmarkError: Error, CustomStringConvertible {
    case noSize(Format.Kind)

    package var description: String {
        switch self {
        case .noSize(let kind): "no \(kind.rawValue) of the shapes is as small as asked for"
        }
    }
}
