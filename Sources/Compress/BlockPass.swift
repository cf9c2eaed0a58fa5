import Artifacts
import Calibration
import Models
import TensorNetworks
import Tensors

/// Where one block finds what it reads and leaves what the next one reads.
struct BlockStreams {
    /// What the block reads in the dense and in the compressed model.
    let dense: HiddenStateFile
    let compressed: HiddenStateFile
    /// Between attention and feed-forward; removed when the block is done.
    let denseMiddle: HiddenStateFile
    let compressedMiddle: HiddenStateFile
    /// What a refined block aims at; removed when it is done.
    let target: HiddenStateFile
    /// What the next block reads; `nil` after the last.
    let nextDense: HiddenStateFile?
    let nextCompressed: HiddenStateFile?
}

/// Runs a block over the calibration text in the four steps between which its layers are fitted, for the
/// dense model and beside it for the compressed one. Fits that are not anchored need no such pass: what
/// the dense model's layers read is in `MomentCache`.
struct BlockPass {
    /// Let go of as soon as nothing more is asked of it: its weights would stand beside the moment of
    /// the widest layer, which is the largest thing that a fit holds.
    private var dense: DecoderBlock?
    private var compressed: DecoderBlock
    /// Whether its first half is another than that which wrote the middle states.
    private var isRefined = false
    private let streams: BlockStreams
    private let rotary: RotaryTables
    /// Share of the dense model's outputs in what the fits aim at; the rest is the dense weight on the
    /// compressed model's inputs.
    private let anchor: Double
    private let device: Device

    /// What the layers of one input read, and what is wanted of them.
    struct Observation {
        /// Â = E[x̂·x̂ᵀ] `[in, in]`.
        private var moment: Tensor?
        /// E[y·x̂ᵀ] `[out, in]` of each layer.
        private var wanted: [Projection: Tensor]

        fileprivate init(_ moment: MomentSum, wanted: [Projection: MomentSum]) throws {
            var moment = moment
            self.moment = try moment.takeMean()
            self.wanted = try wanted.mapValues { sum in
                var sum = sum
                return try sum.takeMean()
            }
        }

        /// Each can be taken once, so that none stays in memory longer than it is used.
        mutating func takeMoment() -> Tensor {
            guard let taken = moment else { preconditionFailure("the moment was taken before") }
            moment = nil
            return taken
        }

        mutating func takeWanted(_ projection: Projection) -> Tensor? {
            wanted.removeValue(forKey: projection)
        }
    }

    init(
        _ dense: DecoderBlock, _ streams: BlockStreams, _ configuration: ModelConfiguration,
        anchor: Double, device: Device
    ) {
        self.dense = dense
        compressed = dense
        self.streams = streams
        self.anchor = anchor
        self.device = device
        rotary = RotaryTables(configuration, type: .float32, device: device)
    }

    /// Passes over the text that a block takes, each of which reports every window.
    static let passes = 5

    /// Puts a fitted matrix, with the values that will be stored, in place of a dense layer.
    mutating func replace(_ projection: Projection, by weight: Linear.Weight) throws {
        compressed[projection] = Linear(
            try weight.converted(to: .float32), bias: compressed[projection].bias)
    }

    /// Puts a refined block in place of the fitted one.
    mutating func replace(by block: DecoderBlock) {
        compressed = block
        isRefined = true
    }

    /// Runs up to the layers of `input`, all before which are replaced already.
    /// - Parameter projections: those that are to be fitted.
    /// - Returns: `nil` where none is.
    mutating func observe(
        _ input: Projection.Input, _ projections: [Projection], step: () throws -> Void
    ) throws -> Observation? {
        guard let dense else { preconditionFailure("the feed-forward layers are observed last") }
        let isSecondHalf = input == .feedForward || input == .gated
        if input == .feedForward { try writeMiddle(dense, step) }
        let next = input == .gated ? try streams.nextDense?.create() : nil
        guard !projections.isEmpty || next != nil else {
            if input != .feedForward { for _ in 0..<streams.dense.windows { try step() } }
            return nil
        }
        let reader = try (isSecondHalf ? streams.denseMiddle : streams.dense).open()
        let other = try (isSecondHalf ? streams.compressedMiddle : streams.compressed).open()
        var moment = MomentSum()
        var wanted: [Projection: MomentSum] = [:]
        for window in 0..<reader.windows {
            let stream = try reader.window(window, on: device)
            let x = try self.input(input, of: dense, stream)
            if let next { try next.write(try stream + dense[.down](x), window: window) }
            if !projections.isEmpty {
                let behind = try other.window(window, on: device)
                let seen = try self.input(input, of: compressed, behind)
                try moment.add(seen, seen)
                let aim = try x * anchor + seen * (1 - anchor)
                for projection in projections {
                    var y = try dense[projection].product(aim)
                    if projection.writesToStream { y = try y + (stream - behind) * anchor }
                    try wanted[projection, default: MomentSum()].add(y, seen)
                }
            }
            if input != .feedForward { try step() }
        }
        try next?.finish()
        if input == .gated { self.dense = nil }
        return projections.isEmpty ? nil : try Observation(moment, wanted: wanted)
    }

    /// Writes what the next block of the compressed model reads.
    func finish(step: () throws -> Void) throws {
        if let writer = try streams.nextCompressed?.create() {
            let reader = try (isRefined ? streams.compressed : streams.compressedMiddle).open()
            for window in 0..<reader.windows {
                var middle = try reader.window(window, on: device)
                if isRefined { middle = try self.middle(compressed, middle) }
                let written = try compressed[.down](input(.gated, of: compressed, middle))
                try writer.write(try middle + written, window: window)
                try step()
            }
            try writer.finish()
        } else {
            for _ in 0..<streams.dense.windows { try step() }
        }
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

    /// The hidden state after attention.
    private func middle(_ block: DecoderBlock, _ x: Tensor) throws -> Tensor {
        try x + block[.output](input(.attended, of: block, x))
    }

    private func writeMiddle(_ dense: DecoderBlock, _ step: () throws -> Void) throws {
        let reader = try streams.dense.open()
        let other = try streams.compressed.open()
        let writer = try streams.denseMiddle.create()
        let otherWriter = try streams.compressedMiddle.create()
        for window in 0..<reader.windows {
            try writer.write(
                try middle(dense, try reader.window(window, on: device)), window: window)
            try otherWriter.write(
                try middle(compressed, try other.window(window, on: device)), window: window)
            try step()
        }
        try writer.finish()
        try otherWriter.finish()
    }
}

extension Projection {
    /// Whether the layer's output is added to the residual stream.
    var writesToStream: Bool { self == .output || self == .down }
}
