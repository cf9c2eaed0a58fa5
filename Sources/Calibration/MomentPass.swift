// checkpoint + calibration text → moments of every linear layer, block by block.
//
// Forward, first block to last: run a block over the text's hidden states, sum x·xᵀ of what its layers
// read, write the states that the next block reads. Then, where moments of outputs are wanted, backward,
// last to first: run the block again on its states, recording, pull the gradient of the loss through it,
// sum g·gᵀ of its layers' outputs, write the gradient for the block before. Memory holds one block and one
// window; what is finished is on disk under names that a later run finds, so a killed run goes on where
// it was.
import Artifacts
import Foundation
import Glibc
import Models
import Tensors

package struct MomentPass {
    let checkpoint: Checkpoint
    let configuration: ModelConfiguration
    let windows: [[Int]]
    let seed: UInt64
    let device: Device
    package let extent: Extent
    package let cache: MomentCache

    /// What is collected.
    package enum Extent: Sendable {
        /// Moments of what the layers read: the forward half.
        case inputs
        /// Those of their outputs' gradients too.
        case inputsAndOutputs

        /// Passes of the text through every block.
        package var passes: Int {
            switch self {
            case .inputs: 1
            case .inputsAndOutputs: 2
            }
        }
    }

    /// - Parameters:
    ///   - source: the checkpoint's fingerprint.
    ///   - root: folder of all caches.
    package init(
        _ checkpoint: Checkpoint, _ configuration: ModelConfiguration, source: Fingerprint,
        windows: [[Int]], seed: UInt64 = 0, extent: Extent = .inputsAndOutputs, on device: Device,
        root: String = MomentCache.defaultRoot
    ) throws {
        try CalibrationText.check(windows, against: configuration)
        self.checkpoint = checkpoint
        self.configuration = configuration
        self.windows = windows
        self.seed = seed
        self.extent = extent
        self.device = device
        cache = MomentCache(source: source, windows: windows, seed: seed, in: root)
    }

    /// Collects what is not there yet. Runs that want the same moments wait for one another.
    /// - Parameter progress: windows passed through blocks, of how many; throwing from it ends the run between two windows.
    package func run(
        progress: (_ done: Int, _ total: Int, _ note: String) throws -> Void
    ) throws {
        let layers = configuration.layerCount
        guard !isComplete else { return }
        try FileManager.default.createDirectory(
            atPath: cache.folder, withIntermediateDirectories: true)
        try withLock {
            let total = extent.passes * layers * windows.count
            var done = 0
            func step(_ note: String) throws {
                done += 1
                try progress(done, total, note)
            }
            try withoutGradients {
                for layer in 0..<layers {
                    try forward(layer) { try step("block \(layer) forward") }
                }
                guard extent == .inputsAndOutputs else { return }
                if !cache.hasOutputs(layers - 1), !gradients(layers - 1).exists {
                    try startBackward()
                }
                for layer in (0..<layers).reversed() {
                    try backward(layer) { try step("block \(layer) backward") }
                }
            }
        }
    }

    private var isComplete: Bool {
        let layers = configuration.layerCount
        return switch extent {
        case .inputs: (0..<layers).allSatisfy(cache.hasInputs)
        case .inputsAndOutputs: cache.isComplete(layers: layers)
        }
    }

    private func withLock(_ body: () throws -> Void) throws {
        let path = "\(cache.folder)/lock"
        let descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o666)
        guard descriptor >= 0, flock(descriptor, LOCK_EX) == 0 else {
            throw CalibrationError.folder(cache.folder, .latest)
        }
        defer { close(descriptor) }
        try body()
    }

    func states(_ layer: Int) -> HiddenStateFile { file(cache.statesPath(layer)) }
    func gradients(_ layer: Int) -> HiddenStateFile { file(cache.gradientsPath(layer)) }

    func file(_ path: String) -> HiddenStateFile {
        HiddenStateFile(
            path: path, windows: windows.count, tokens: windows[0].count,
            hidden: configuration.hiddenSize)
    }

    func block(_ layer: Int) throws -> DecoderBlock {
        try DecoderBlock(
            layer, of: configuration, from: WeightLoader(checkpoint, as: .float32, on: device))
    }

    func rotary() -> RotaryTables {
        RotaryTables(configuration, type: .float32, device: device)
    }

    // MARK: Forward

    private final class InputSums: LinearObserver {
        var sums: [Projection.Input: MomentSum] = [:]

        func willRead(_ x: Tensor, _ input: Projection.Input) throws {
            try sums[input, default: MomentSum()].add(x, x)
        }
    }

    /// Whether nothing of block `layer` needs to be passed forward.
    private func isPassed(_ layer: Int) -> Bool {
        switch extent {
        case .inputs:
            cache.hasInputs(layer)
        case .inputsAndOutputs:
            // The states are wanted until the backward pass has been through the block.
            cache.hasInputs(layer) && (cache.hasOutputs(layer) || states(layer + 1).exists)
        }
    }

    /// What block `layer` reads. A pass over the inputs alone keeps states of its own, one file at a time,
    /// and where it goes on from an unfinished pass over both it begins with a file of that.
    private func forwardStates(_ layer: Int) -> HiddenStateFile {
        let own = file(cache.forwardStatesPath(layer))
        return extent == .inputs && (own.exists || !states(layer).exists) ? own : states(layer)
    }

    private func forward(_ layer: Int, step: () throws -> Void) throws {
        let passed = file(cache.forwardStatesPath(layer))
        guard !isPassed(layer) else {
            if extent == .inputs { try passed.remove() }
            for _ in windows { try step() }
            return
        }
        let source = forwardStates(layer)
        if layer == 0, !source.exists {
            try source.writeEmbeddings(of: windows, checkpoint, configuration)
        }
        let (block, rotary, reader) = (try block(layer), rotary(), try source.open())
        let writer: HiddenStateFile.Writer?
        switch extent {
        case .inputs:
            let isLast = layer + 1 == configuration.layerCount
            writer = isLast ? nil : try file(cache.forwardStatesPath(layer + 1)).create()
        case .inputsAndOutputs:
            writer = try states(layer + 1).create()
        }
        let observer = InputSums()
        var none: KVCache?
        for window in windows.indices {
            let x = try reader.window(window, on: device)
            let y = try block.forward(x, rotary: rotary, cache: &none, observer: observer)
            try writer?.write(y, window: window)
            try step()
        }
        try writer?.finish()
        var moments: [(Projection.Input, Tensor)] = []
        for input in Projection.Input.allCases {
            guard var sum = observer.sums.removeValue(forKey: input) else {
                preconditionFailure("every input was observed")
            }
            moments.append((input, try sum.takeMean()))
        }
        try cache.write(moments, layer: layer)
        if extent == .inputs { try passed.remove() }
        TorchRuntime.releaseUnusedMemory()
    }
}
