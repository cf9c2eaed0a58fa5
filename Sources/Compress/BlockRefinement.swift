// After a block is fitted, all that is stored of it is trained together: the parts of its networks, its norms
// and biases, by gradients of the difference between what the block returns and what the dense model's does.
// AA-SVD (arXiv 2604.02119, section 4) finds this to be worth more than any improvement of the fits.
import Artifacts
import Calibration
import Foundation
import Models
import TensorNetworks
import Tensors

struct BlockRefinement {
    let settings: FitSettings.Refinement
    /// Share of the dense model's own output in what the block aims at; the rest is what the dense block
    /// returns for the compressed model's input.
    let anchor: Double
    let checkpoint: Checkpoint
    let configuration: ModelConfiguration
    let seed: UInt64
    let device: Device

    /// A refined block, as it will be stored.
    struct Refined {
        let fitted: [BlockCompressor.Fitted]
        /// Norms and biases, under the checkpoint's names.
        let others: [NamedTensor]
        let block: DecoderBlock
    }

    /// Steps of progress that a block takes.
    func steps(windows: Int) -> Int { windows + settings.steps }

    /// - Parameters:
    ///   - fitted: every compressed matrix of the block.
    ///   - step: called after every window of the text, and after every step.
    func run(
        _ layer: Int, _ fitted: [BlockCompressor.Fitted], _ streams: BlockStreams,
        step: () throws -> Void
    ) throws -> Refined {
        let loader = WeightLoader(checkpoint, as: .float32, on: device)
        let dense = try DecoderBlock(layer, of: configuration, from: loader)
        try writeTargets(dense, streams, step)
        let block = try TrainedBlock(layer, fitted, loader, configuration)
        let inputs = try streams.compressed.open()
        let targets = try streams.target.open()
        var optimizer = try AdamW(
            block.masters.map(\.tensor), learningRate: settings.learningRate, weightDecay: 0)
        var order = WindowOrder(inputs.windows, seed: seed &+ UInt64(layer))
        for number in 0..<settings.steps {
            optimizer.learningRate = settings.learningRate * rate(number)
            let computed = try block.computed()
            for _ in 0..<settings.windowsPerStep {
                let window = order.next()
                let x = try inputs.window(window, on: device)
                let target = try targets.window(window, on: device)
                try computed.add(of: x, target, share: 1 / Double(settings.windowsPerStep))
            }
            try optimizer.step(try computed.masterGradients())
            try step()
        }
        try streams.target.remove()
        return try block.refined { checkpoint.info($0)?.elementType ?? .float32 }
    }

    /// Linear warm-up over a tenth of the steps, then a cosine to a tenth.
    private func rate(_ number: Int) -> Double {
        let warm = max(1, settings.steps / 10)
        if number < warm { return Double(number + 1) / Double(warm) }
        let share = Double(number - warm) / Double(max(1, settings.steps - warm))
        return 0.1 + 0.9 * 0.5 * (1 + cos(.pi * share))
    }

    private func writeTargets(
        _ dense: DecoderBlock, _ streams: BlockStreams, _ step: () throws -> Void
    ) throws {
        let rotary = RotaryTables(configuration, type: .float32, device: device)
        let (own, other) = (try streams.dense.open(), try streams.compressed.open())
        let writer = try streams.target.create()
        var none: KVCache?
        for window in 0..<own.windows {
            var target = try dense.forward(
                own.window(window, on: device), rotary: rotary, cache: &none)
            if anchor < 1 {
                let seen = try dense.forward(
                    other.window(window, on: device), rotary: rotary, cache: &none)
                target = try target * anchor + seen * (1 - anchor)
            }
            try writer.write(target, window: window)
            try step()
        }
        try writer.finish()
    }
}

/// Window numbers in random order, every one once before any comes again.
private struct WindowOrder {
    private let count: Int
    private let seed: UInt64
    private var round: UInt64 = 0
    private var rest: [Int] = []

    init(_ count: Int, seed: UInt64) {
        self.count = count
        self.seed = seed
    }

    mutating func next() -> Int {
        if rest.isEmpty {
            var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ round
            round += 1
            rest = Array(0..<count)
            for place in stride(from: count - 1, to: 0, by: -1) {
                // SplitMix64 (Steele, Lea, Flood 2014).
                state &+= 0x9E37_79B9_7F4A_7C15
                var z = state
                z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
                z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
                rest.swapAt(place, Int((z ^ z >> 31) % UInt64(place + 1)))
            }
        }
        return rest.removeLast()
    }
}
