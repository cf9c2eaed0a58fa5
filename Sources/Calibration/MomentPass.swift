// model + calibration text → moments of every linear layer, block by block.
//
// Forward, first block to last: run a block over the text's hidden states and write those that the next
// block reads. Then backward, last to first: run the block again on its states, recording, sum x·xᵀ of
// what its layers read, pull the gradient of the loss through it, sum g·gᵀ of its layers' outputs, write
// the gradient for the block before. Memory holds one block and one window; what is finished is on disk
// under names that a later run finds, so a killed run goes on where it was.
import Artifacts
import Foundation
import Models
import Tensors

package struct MomentPass {
    let weights: WeightSource
    let configuration: ModelConfiguration
    let windows: [[Int]]
    let seed: UInt64
    let device: Device
    let extent: Extent
    package let cache: MomentCache
    /// Which moments stay on disk.
    package var keeping: Keeping

    /// Which moments a pass leaves on disk; what it does not leave is there for a moment only, for whoever
    /// asked for it.
    package enum Keeping: String, Sendable {
        case everything
        /// Those of the outputs, which two-sided fits need; input moments are collected anew where fits
        /// are anchored.
        case outputs
        case nothing
    }

    /// Which moments are collected.
    package enum Extent: Sendable {
        /// Of what the layers read: forward alone, and kept whatever they take.
        case inputs
        /// Of the gradients by their outputs too.
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
        try self.init(
            .checkpoint(checkpoint), configuration, source: source, windows: windows, seed: seed,
            extent: extent, on: device, root: root)
    }

    package init(
        _ weights: WeightSource, _ configuration: ModelConfiguration, source: Fingerprint,
        windows: [[Int]], seed: UInt64 = 0, extent: Extent = .inputsAndOutputs, on device: Device,
        root: String = MomentCache.defaultRoot
    ) throws {
        try CalibrationText.check(windows, against: configuration)
        self.weights = weights
        self.configuration = configuration
        self.windows = windows
        self.seed = seed
        self.extent = extent
        self.device = device
        cache = MomentCache(source: source, windows: windows, seed: seed, in: root)
        keeping =
            MomentCache.byteCount(of: configuration) <= MomentCache.mostBytes
            ? .everything : .outputs
    }

    /// Collects what is not there yet. Runs that want the same moments wait for one another.
    /// - Parameters:
    ///   - progress: windows passed through blocks, of how many; throwing from it ends the run between
    ///     two windows.
    ///   - isWanted: blocks whose moments `use` is to be given although they need not be kept.
    ///   - use: called once for each of them, last block first.
    package func run(
        progress: (_ done: Int, _ total: Int, _ step: MomentStep) throws -> Void,
        isWanted: (_ layer: Int) -> Bool = { _ in false },
        use: (_ layer: Int, BlockMoments) throws -> Void = { _, _ in }
    ) throws {
        let layers = configuration.layerCount
        let wanted = (0..<layers).map(isWanted)
        guard wanted.contains(true) || !(0..<layers).allSatisfy(isComplete) else { return }
        try FileManager.default.createDirectory(
            atPath: cache.folder, withIntermediateDirectories: true)
        try withLock {
            // Of another run, they may have appeared while this one waited.
            let needed = wanted.indices.map { layer in
                wanted[layer] ? !cache.has(layer, .everything) : !cache.has(layer, keeping)
            }
            let total = extent.passes * layers * windows.count
            var done = 0
            func step(_ phase: MomentStep.Phase, _ layer: Int) throws {
                done += 1
                try progress(done, total, MomentStep(phase: phase, layer: layer))
            }
            try withoutGradients {
                guard extent == .inputsAndOutputs else {
                    return try collectInputs { try step(.forward, $0) }
                }
                let top = try forward(needed) { try step(.forward, $0) }
                for layer in (0..<layers).reversed() {
                    let moments = try backward(layer, below: top, needed) {
                        try step(.backward, layer)
                    }
                    if wanted[layer] {
                        try use(layer, moments ?? BlockMoments(in: cache, layer: layer))
                        TorchRuntime.releaseUnusedMemory()
                    }
                    try forget(layer)
                }
            }
        }
    }

    /// Whether everything that the pass leaves of a block is there.
    private func isComplete(_ layer: Int) -> Bool {
        extent == .inputs ? cache.hasInputs(layer) : cache.has(layer, keeping)
    }

    private func withLock(_ body: () throws -> Void) throws {
        let lock: FileLock
        do {
            lock = try FileLock.wait("\(cache.folder)/lock")
        } catch CheckpointError.unwritable(_, let fault) {
            throw CalibrationError.folder(cache.folder, fault)
        }
        try withExtendedLifetime(lock, body)
    }

    func states(_ layer: Int) -> HiddenStateFile { file(cache.statesPath(layer)) }
    func gradients(_ layer: Int) -> HiddenStateFile { file(cache.gradientsPath(layer)) }

    private func file(_ path: String) -> HiddenStateFile {
        HiddenStateFile(
            path: path, windows: windows.count, tokens: windows[0].count,
            hidden: configuration.hiddenSize)
    }

    func block(_ layer: Int) throws -> DecoderBlock {
        try DecoderBlock(
            layer, of: configuration, from: WeightLoader(weights, as: .float32, on: device))
    }

    func rotary() -> RotaryTables {
        RotaryTables(configuration, type: .float32, device: device)
    }

    // MARK: Forward

    /// Leaves the states that every needed block reads, and the gradient by what the last of the blocks
    /// returns that the backward pass begins with.
    /// - Returns: that block; `nil` where no block is needed.
    private func forward(_ needed: [Bool], step: (Int) throws -> Void) throws -> Int? {
        let last = configuration.layerCount - 1
        let highest = needed.lastIndex(of: true)
        // Above the blocks that are still to be done a killed run has left the gradient; else it is to
        // come down from the end.
        let top = highest.map { gradients($0).exists ? $0 : last }
        let states = top.map { gradients($0).exists ? $0 : $0 + 1 } ?? 0
        for layer in 0...last {
            guard layer < states, !self.states(layer + 1).exists else {
                for _ in windows { try step(layer) }
                continue
            }
            try forward(layer, step)
        }
        if let top, !gradients(top).exists { try startBackward() }
        return top
    }

    private func forward(_ layer: Int, _ step: (Int) throws -> Void) throws {
        try forward(layer, from: states(layer), to: states(layer + 1), observer: nil, step)
    }

    private func forward(
        _ layer: Int, from source: HiddenStateFile, to next: HiddenStateFile?,
        observer: (any LinearObserver)?, _ step: (Int) throws -> Void
    ) throws {
        if layer == 0, !source.exists {
            try source.writeEmbeddings(of: windows, weights, configuration, on: device)
        }
        let (block, rotary, reader) = (try block(layer), rotary(), try source.open())
        let writer = try next?.create()
        var none: KVCache?
        for window in windows.indices {
            let x = try reader.window(window, on: device)
            let y = try block.forward(x, rotary: rotary, cache: &none, observer: observer)
            try writer?.write(y, window: window)
            try step(layer)
        }
        try writer?.finish()
        TorchRuntime.releaseUnusedMemory()
    }

    private final class InputSums: LinearObserver {
        let sums = BlockSums()

        func willRead(_ x: Tensor, _ input: Projection.Input) throws { try sums.add(x, input) }
    }

    /// The pass for input moments alone. It keeps states of its own, one file at a time, and may begin with
    /// a file of an unfinished pass of both extents.
    private func collectInputs(step: (Int) throws -> Void) throws {
        let last = configuration.layerCount - 1
        func own(_ layer: Int) -> HiddenStateFile { file(cache.forwardStatesPath(layer)) }
        for layer in 0...last {
            if cache.hasInputs(layer) {
                for _ in windows { try step(layer) }
            } else {
                let observer = InputSums()
                try forward(
                    layer,
                    from: own(layer).exists || !states(layer).exists ? own(layer) : states(layer),
                    to: layer < last ? own(layer + 1) : nil, observer: observer, step)
                try cache.writeInputs(BlockMoments(taking: observer.sums), layer: layer)
            }
            try own(layer).remove()
        }
    }

    /// Removes what nothing reads again once a block is done.
    private func forget(_ layer: Int) throws {
        try gradients(layer).remove()
        try states(layer + 1).remove()
        if layer == 0 { try states(0).remove() }
    }
}

/// One window passed through one block.
package struct MomentStep: CustomStringConvertible, Sendable {
    package enum Phase: String, Sendable {
        case forward, backward
    }

    package let phase: Phase
    package let layer: Int

    package var description: String { "block \(layer) \(phase.rawValue)" }
}
