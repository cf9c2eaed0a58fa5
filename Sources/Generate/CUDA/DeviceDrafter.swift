// Drafting on a GPU takes as long as the draft's bytes are read, if nothing else takes time: the passes of a draft are one graph
// that was captured once, and the host hears of them when the last token is chosen. Long pieces of prompts go through libtorch.
import Artifacts
import CCUDA
import Kernels
import Models
import Tensors

/// Guesses with an EAGLE-3 draft model on a GPU. Its states stand as those of `ModelDrafter`: what it knows of a position is what
/// the target knew there and the token behind.
package final class DeviceDrafter: Drafter {
    let draft: DeviceDraft
    private let runner: any StepRunner
    private let cache: PagedCache
    private let spill: SpillMemory
    package let limit: Int
    private var coverage = DraftCoverage()
    /// Of all positions that the cache has room for, and of those that a draft comes to behind them.
    private let angles: DraftParameters.Angles
    /// The target's number of each of the draft's tokens.
    private let targets: [Int32]
    private var graphs: [DraftShape: CUDAGraph] = [:]
    /// One for all graphs, which know their addresses.
    private var workspace: DeviceModel.Workspace
    private var memory: Tensor

    /// Graphs that are kept: each takes some memory.
    private static let mostGraphs = 512
    /// New tokens of a sequence that attention takes.
    private static let mostRows = 8

    /// - Parameters:
    ///   - runner: of the target, tapping the layers that the draft reads.
    ///   - limit: tokens of a draft at most.
    ///   - noise: seed of what the cache holds at first, for measurements.
    /// - Throws: `DeviceModelError.unsupported` for a draft that libtorch must run, with the reason.
    package init(
        _ model: DraftModel, behind runner: any StepRunner, of target: DeviceModel, limit: Int,
        noise: UInt64? = nil
    ) throws {
        draft = try DeviceDraft(model, of: target)
        (self.runner, self.limit) = (runner, min(limit, Speculation.limit))
        let (layer, device) = (model.configuration.layer, model.embedding.device)
        // The last block is nobody's: what is guessed beyond a sequence's own goes there.
        cache = try PagedCache(
            layer, blocks: runner.blocks + 1, blockTokens: runner.blockTokens, as: .bfloat16,
            on: device, noise: noise)
        spill = try SpillMemory(of: cache, blocks: runner.spillBlocks)
        let positions =
            min(target.model.configuration.maxPositions, runner.blocks * runner.blockTokens)
            + Speculation.limit
        let angles = try RotaryTables(layer, type: .float32, device: .cpu).angles(at: 0..<positions)
        self.angles = .init(
            cosines: try angles.cosines.elements(), sines: try angles.sines.elements())
        targets = try model.targets.elements(as: Int32.self)
        workspace = try DeviceModel.Workspace(layer, pieces: 64, on: device)
        memory = try Tensor.zeros([1 << 14], .int32, on: device)
    }

    package func end(_ request: RequestID) { coverage.end(request) }

    package func transfer(for step: Scheduler.Step) throws { try spill.transfer(for: step) }

    // MARK: What a step brought

    /// A request whose new tokens go through the graph, or the last of them.
    private struct Chain {
        let turn: DraftTurn
        /// float32 `[tokens, features]`.
        let features: Tensor
        /// Position of the first token.
        let start: Int
        let wanted: Int

        var rows: Int { features.shape[0] }
        var end: Int { start + rows }

        /// Its last token alone, and those before it, which are remembered; `nil` where there are none.
        var last: Chain {
            get throws {
                Chain(
                    turn: turn, features: try features.narrowed(0, rows - 1..<rows),
                    start: end - 1, wanted: wanted)
            }
        }
        var withoutLast: Chain? {
            get throws {
                guard rows > 1 else { return nil }
                return Chain(
                    turn: turn, features: try features.narrowed(0, 0..<rows - 1), start: start,
                    wanted: 0)
            }
        }
    }

    package func draft(
        behind step: Scheduler.Step, _ turns: [DraftTurn]
    ) throws -> [RequestID: [Int32]] {
        try withoutGradients {
            var (chains, pieces, found) = ([Chain](), [PagedBatch.Piece](), [Tensor]())
            for turn in turns where turn.kept > 0 {
                let item = step.items[turn.item]
                let features = try runner.features(of: item.request)
                guard coverage.add(turn.kept, of: item, isThere: features != nil), let features
                else { continue }
                // Of a long piece the last token begins the chain, and the others are remembered.
                let wanted = min(turn.wanted, limit)
                let read = turn.kept <= Self.mostRows ? 0 : turn.kept - (wanted > 0 ? 1 : 0)
                if read > 0 {
                    pieces.append(
                        .init(
                            tokens: Array(turn.tokens[item.start + 1...item.start + read]),
                            start: item.start, blocks: turn.blocks))
                    found.append(try features.narrowed(0, 0..<read))
                }
                guard read < turn.kept else { continue }
                chains.append(
                    Chain(
                        turn: turn,
                        features: try features.narrowed(0, read..<turn.kept)
                            .converted(to: .float32).contiguous(),
                        start: item.start + read, wanted: wanted))
            }
            if !pieces.isEmpty { try self.read(pieces, Tensor.concatenated(found, along: 0)) }
            var drafts: [RequestID: [Int32]] = [:]
            let rowsEach = chains.map(\.rows).max() ?? 1
            if chains.count * rowsEach > draft.maxColumns, rowsEach > 1 {
                // A pass takes what its weights take: those of the chain are for as many requests as can be.
                try guess(try chains.compactMap { try $0.withoutLast }, into: &drafts)
                chains = try chains.map { try $0.last }
            }
            try guess(chains, into: &drafts)
            return drafts
        }
    }

    /// Remembers pieces of prompts, through libtorch: they are bound by arithmetic.
    /// - Parameter features: `[tokens, features]` of all of them.
    private func read(_ pieces: [PagedBatch.Piece], _ features: Tensor) throws {
        let model = draft.model
        _ = try model.forward(model.combine(features), model.batch(pieces, cache))
    }

    // MARK: Guessing

    /// Guesses behind `chains`, as many at once as a pass has columns for.
    private func guess(_ chains: [Chain], into drafts: inout [RequestID: [Int32]]) throws {
        guard let rowsEach = chains.map(\.rows).max() else { return }
        let most = draft.maxColumns / rowsEach
        for start in stride(from: 0, to: chains.count, by: most) {
            let some = chains[start..<min(start + most, chains.count)]
            try guess(Array(some), rowsEach: rowsEach, into: &drafts)
        }
    }

    private func guess(
        _ chains: [Chain], rowsEach: Int, into drafts: inout [RequestID: [Int32]]
    ) throws {
        let length = chains.map(\.wanted).max() ?? 0
        let longest = chains.map { $0.end - 1 + max(0, length - 1) }.max() ?? 0
        var splits = 1
        while splits * Int(SPLIT_TOKENS) <= longest { splits *= 2 }
        let shape = DraftShape(
            sequences: chains.count, rowsEach: rowsEach, chain: length, splits: splits)
        let parameters = DraftParameters(shape, headDim: draft.model.configuration.layer.headDim)
        try reserve(parameters)
        let values = parameters.values(
            of: chains.map { Self.sequence($0, length) }, angles, spare: cache.blocks - 1)
        try values.withUnsafeBytes { try draft.stream.copy($0, to: memory.deviceAddress) }
        try graph(parameters).launch(on: draft.stream)
        guard length > 0 else { return }
        let chosen = try draft.chosen(shape)
        for (index, chain) in chains.enumerated() where chain.wanted > 0 {
            // Beyond its own blocks a request has nowhere to keep states.
            let room = chain.turn.blocks.count * cache.blockTokens - chain.end
            let count = min(chain.wanted, 1 + max(0, room))
            var draft: [Int32] = []
            for pass in 0..<count {
                let token = chosen[pass * chains.count + index]
                guard token >= 0 else { break }
                draft.append(targets[Int(token)])
            }
            drafts[chain.turn.request] = draft
        }
    }

    private static func sequence(_ chain: Chain, _ length: Int) -> DraftParameters.Sequence {
        let width = UInt64(4 * chain.features.shape[1])
        let tokens = chain.turn.tokens[chain.start + 1...chain.end]
        return DraftParameters.Sequence(
            features: (0..<chain.rows).map { chain.features.deviceAddress + UInt64($0) * width },
            tokens: Array(tokens), start: chain.start, blocks: chain.turn.blocks,
            choices: (0..<length).map { pass in
                let choices = chain.turn.choices
                var raw = DeviceSampler.raw(pass < choices.count ? choices[pass] : nil)
                // The target's tokens are penalised, which have other numbers.
                raw.penalty = 1
                return raw
            })
    }

    /// Makes room for what a graph reads and writes; what was captured before writes to the old.
    private func reserve(_ parameters: DraftParameters) throws {
        let pieces = parameters.shape.columns * parameters.shape.splits
        if pieces > workspace.pieces {
            graphs.removeAll()
            workspace = try DeviceModel.Workspace(
                draft.model.configuration.layer, pieces: max(pieces, 2 * workspace.pieces),
                on: memory.device)
        }
        if parameters.count > memory.count {
            graphs.removeAll()
            memory = try Tensor.zeros([2 * parameters.count], .int32, on: memory.device)
        }
    }

    private func graph(_ parameters: DraftParameters) throws -> CUDAGraph {
        if let known = graphs[parameters.shape] { return known }
        if graphs.count >= Self.mostGraphs { graphs.removeAll() }
        func queue() throws {
            try draft.queue(
                parameters, at: memory.deviceAddress, workspace: workspace,
                cache: cache.memory(ofLayer: 0))
        }
        // Kernels are compiled and loaded outside of the capture.
        try queue()
        let graph = try draft.stream.capture(queue)
        graphs[parameters.shape] = graph
        return graph
    }
}
