import Artifacts
import Calibration
import Models
import TensorNetworks
import Tensors

/// Where one block finds what it reads and leaves what the next one reads.
struct BlockStreams {
    /// What the block reads in the dense and in the compressed model; the same file where the fits are
    /// not anchored.
    let dense: HiddenStateFile
    let compressed: HiddenStateFile
    /// Between attention and feed-forward; removed when the block is done.
    let denseMiddle: HiddenStateFile
    let compressedMiddle: HiddenStateFile
    /// What the next block reads; `nil` after the last.
    let nextDense: HiddenStateFile?
    let nextCompressed: HiddenStateFile?
}

/// Runs a block over the calibration text in the four steps between which its layers are fitted, for the
/// dense model and beside it for the compressed one.
struct BlockPass {
    private let dense: DecoderBlock
    private var compressed: DecoderBlock
    private let streams: BlockStreams
    private let rotary: RotaryTables
    /// Share of the dense model's outputs in what the fits aim at; the rest is the dense weight on the
    /// compressed model's inputs. `nil`: the compressed model's inputs are not looked at.
    private let anchor: Double?
    private let device: Device

    /// What the layers of one input read, and what is wanted of them.
    struct Observation {
        /// Â = E[x̂·x̂ᵀ] `[in, in]`.
        let moment: Tensor
        /// E[y·x̂ᵀ] `[out, in]` of each layer, where the outputs y are not W·x̂.
        let wanted: [Projection: Tensor]
    }

    init(
        _ dense: DecoderBlock, _ streams: BlockStreams, _ configuration: ModelConfiguration,
        anchor: Double?, device: Device
    ) {
        self.dense = dense
        compressed = dense
        self.streams = streams
        self.anchor = anchor
        self.device = device
        rotary = RotaryTables(configuration, type: .float32, device: device)
    }

    private var isAnchored: Bool { anchor != nil }

    /// Passes over the text that a block takes, each of which reports every window.
    static let passes = 5

    /// Puts a fitted network, with the values that will be stored, in place of a dense layer.
    mutating func replace(_ projection: Projection, by network: Factorization) throws {
        compressed[projection] = Linear(
            .network(try network.mapTensors { try $0.converted(to: .float32) }),
            bias: dense[projection].bias)
    }

    /// Runs up to the layers of `input`, all before which are replaced already.
    /// - Parameter projections: those that are to be fitted.
    /// - Returns: `nil` where none is.
    func observe(
        _ input: Projection.Input, _ projections: [Projection], step: () throws -> Void
    ) throws -> Observation? {
        let isSecondHalf = input == .feedForward || input == .gated
        if input == .feedForward { try writeMiddle(step) }
        guard !projections.isEmpty else {
            if input != .feedForward { for _ in 0..<streams.dense.windows { try step() } }
            return nil
        }
        let reader = try (isSecondHalf ? streams.denseMiddle : streams.dense).open()
        let other =
            try isAnchored
            ? (isSecondHalf ? streams.compressedMiddle : streams.compressed).open() : nil
        var moment = MomentSum()
        var wanted: [Projection: MomentSum] = [:]
        for window in 0..<reader.windows {
            let stream = try reader.window(window, on: device)
            let x = try self.input(input, of: dense, stream)
            if let other, let anchor {
                let behind = try other.window(window, on: device)
                let seen = try self.input(input, of: compressed, behind)
                try moment.add(seen, seen)
                let aim = try x * anchor + seen * (1 - anchor)
                for projection in projections {
                    var y = try dense[projection].product(aim)
                    if projection.writesToStream { y = try y + (stream - behind) * anchor }
                    try wanted[projection, default: MomentSum()].add(y, seen)
                }
            } else {
                try moment.add(x, x)
            }
            if input != .feedForward { try step() }
        }
        return Observation(
            moment: try moment.takeMean(),
            wanted: try wanted.mapValues { sum in
                var sum = sum
                return try sum.takeMean()
            })
    }

    /// Writes what the next block reads.
    func finish(step: () throws -> Void) throws {
        let reader = try streams.denseMiddle.open()
        let other = try isAnchored ? streams.compressedMiddle.open() : nil
        let writer = try streams.nextDense?.create()
        let otherWriter = try isAnchored ? streams.nextCompressed?.create() : nil
        for window in 0..<reader.windows {
            if let writer {
                let x = try reader.window(window, on: device)
                try writer.write(try finished(dense, x), window: window)
            }
            if let otherWriter, let other {
                let x = try other.window(window, on: device)
                try otherWriter.write(try finished(compressed, x), window: window)
            }
            try step()
        }
        try writer?.finish()
        try otherWriter?.finish()
        try streams.denseMiddle.remove()
        try streams.compressedMiddle.remove()
    }

    // MARK: Steps

    /// What the layers of `input` read, of the block's input or, in its second half, of its middle.
    private func input(
        _ input: Projection.Input, of block: DecoderBlock, _ x: Tensor
    ) throws -> Tensor {
        switch input {
        case .attention: try block.attentionInput(x)
        case .attended: try block.attend(block.attentionInput(x), rotary: rotary)
        case .feedForward: try block.feedForwardInput(x)
        case .gated: try block.gate(block.feedForwardInput(x))
        }
    }

    private func writeMiddle(_ step: () throws -> Void) throws {
        let reader = try streams.dense.open()
        let other = try isAnchored ? streams.compressed.open() : nil
        let writer = try streams.denseMiddle.create()
        let otherWriter = try isAnchored ? streams.compressedMiddle.create() : nil
        func middle(_ block: DecoderBlock, _ x: Tensor) throws -> Tensor {
            try x + block[.output](input(.attended, of: block, x))
        }
        for window in 0..<reader.windows {
            try writer.write(
                try middle(dense, try reader.window(window, on: device)), window: window)
            if let other {
                try otherWriter?.write(
                    try middle(compressed, try other.window(window, on: device)), window: window)
            }
            try step()
        }
        try writer.finish()
        try otherWriter?.finish()
    }

    private func finished(_ block: DecoderBlock, _ middle: Tensor) throws -> Tensor {
        try middle + block[.down](input(.gated, of: block, middle))
    }
}

extension Projection {
    /// Whether the layer's output is added to the residual stream.
    var writesToStream: Bool { self == .output || self == .down }
}
