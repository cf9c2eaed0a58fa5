// After a block is fitted, all that is stored of it is trained together: the parts of its networks, its norms
// and biases, by gradients of the difference between what the block returns and what the dense model's does.
// AA-SVD (arXiv 2604.02119, section 4) finds this to be worth more than any improvement of the fits.
import Artifacts
import Calibration
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
        let perStep = settings.windowsPerStep
        let inputs = try RefinementWindows(streams.compressed, together: perStep, on: device)
        let targets = try RefinementWindows(streams.target, together: perStep, on: device)
        var optimizer = try AdamW(
            block.masters.map(\.tensor), learningRate: settings.learningRate, weightDecay: 0)
        let rates = LearningRateSchedule(
            .cosine, steps: settings.steps, warmup: max(1, settings.steps / 10), floor: 0.1)
        var order = WindowOrder(count: streams.compressed.windows, seed: seed &+ UInt64(layer))
        for number in 0..<settings.steps {
            optimizer.learningRate = settings.learningRate * rates.share(at: number)
            let computed = try block.computed()
            let windows = (0..<perStep).map { order.window(at: number * perStep + $0) }
            for piece in inputs.pieces(of: windows) {
                try computed.add(
                    of: inputs.states(of: piece), targets.states(of: piece),
                    share: 1 / Double(perStep))
            }
            try optimizer.step(try computed.masterGradients())
            try step()
        }
        try streams.target.remove()
        return try block.refined { checkpoint.info($0)?.elementType ?? .float32 }
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
