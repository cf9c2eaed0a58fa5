import Models
import Tensors

/// Guesses with an EAGLE-3 draft model on the device that holds it: a few tokens on a CPU by routines of its own, all else through
/// libtorch; on a GPU where `DeviceDrafter` does not know the draft. Its states stand in a cache of its own,
/// in the blocks that the target's have: what it knows of a position is what the target knew there and the token behind.
package final class ModelDrafter: Drafter {
    private let model: DraftModel
    private let runner: any StepRunner
    private let cache: PagedCache
    private let spill: SpillMemory
    private let host: HostDraft?
    package let limit: Int
    private var coverage = DraftCoverage()

    /// - Parameters:
    ///   - runner: of the target, tapping the layers that the draft reads.
    ///   - executor: of the target.
    ///   - limit: tokens of a draft at most.
    ///   - noise: seed of what the cache holds at first, for measurements.
    package init(
        _ model: DraftModel, behind runner: any StepRunner, of executor: Executor, limit: Int,
        noise: UInt64? = nil
    ) throws {
        (self.model, self.runner, self.limit) = (model, runner, limit)
        let device = model.embedding.device
        cache = try PagedCache(
            model.configuration.layer, blocks: runner.blocks, blockTokens: runner.blockTokens,
            as: Executor.cacheType(model.embedding.elementType, on: device), on: device,
            noise: noise)
        spill = try SpillMemory(of: cache, blocks: runner.spillBlocks)
        if case .host(let target) = executor.backend {
            host = try HostDraft(model, pool: target.pool)
        } else {
            host = nil
        }
    }

    // MARK: Computing

    private func combine(_ features: Tensor) throws -> Tensor {
        guard let host, features.shape[0] <= HostDraft.mostRows else {
            return try model.combine(features)
        }
        let g = host.combine(try features.elements())
        return try Tensor(g, shape: [features.shape[0], model.configuration.layer.hiddenSize])
    }

    private func forward(_ g: Tensor, _ pieces: [PagedBatch.Piece]) throws -> Tensor {
        guard let host, g.shape[0] <= HostDraft.mostRows else {
            return try model.forward(
                g.converted(to: model.embedding.elementType), model.batch(pieces, cache))
        }
        return try Tensor(host.forward(g.elements(), pieces, cache), shape: g.shape)
    }

    private func project(_ output: Tensor) throws -> Tensor {
        guard let host, output.shape[0] <= HostDraft.mostRows else {
            return try model.project(output)
        }
        return try Tensor(
            host.project(output.elements()),
            shape: [output.shape[0], model.configuration.vocabularySize])
    }

    // MARK: Guessing

    package func end(_ request: RequestID) { coverage.end(request) }

    package func transfer(for step: Scheduler.Step) throws { try spill.transfer(for: step) }

    /// A request that gets a draft.
    private struct Chain {
        let turn: DraftTurn
        /// Of the turn's last token among all that are computed.
        let row: Int
        /// Where the next token stands.
        var position: Int
        var tokens: [Int32] = []
    }

    package func draft(
        behind step: Scheduler.Step, _ turns: [DraftTurn]
    ) throws -> [RequestID: [Int32]] {
        try withoutGradients {
            var (pieces, found, chains, rows) = (
                [PagedBatch.Piece](), [Tensor](), [Chain](), 0
            )
            for turn in turns where turn.kept > 0 {
                let item = step.items[turn.item]
                let features = try runner.features(of: item.request)
                guard coverage.add(turn.kept, of: item, isThere: features != nil), let features
                else { continue }
                let end = item.start + turn.kept
                pieces.append(
                    .init(
                        tokens: Array(turn.tokens[item.start + 1...end]), start: item.start,
                        blocks: turn.blocks))
                found.append(try features.narrowed(0, 0..<turn.kept))
                rows += turn.kept
                if turn.wanted > 0 {
                    chains.append(Chain(turn: turn, row: rows - 1, position: end))
                }
            }
            guard !pieces.isEmpty else { return [:] }
            let g = try combine(Tensor.concatenated(found, along: 0))
            var output = try forward(g, pieces)
            guard !chains.isEmpty else { return [:] }
            output = try output.selecting(
                Tensor(chains.map(\.row), shape: [chains.count], on: output.device), along: 0)
            var active = Array(chains.indices)
            while true {
                for (index, token) in zip(
                    active, try choose(output, active.map { chains[$0] }))
                {
                    chains[index].tokens.append(token)
                }
                let next = active.filter { index in
                    let chain = chains[index]
                    return chain.tokens.count < min(chain.turn.wanted, limit)
                        && chain.position < chain.turn.blocks.count * cache.blockTokens
                }
                guard !next.isEmpty else { break }
                if next.count < active.count {
                    let kept = next.compactMap { active.firstIndex(of: $0) }
                    output = try output.selecting(
                        Tensor(kept, shape: [kept.count], on: output.device), along: 0)
                }
                output = try forward(
                    output,
                    next.map { index in
                        .init(
                            tokens: chains[index].tokens.suffix(1),
                            start: chains[index].position, blocks: chains[index].turn.blocks)
                    })
                for index in next { chains[index].position += 1 }
                active = next
            }
            return Dictionary(
                uniqueKeysWithValues: chains.map { ($0.turn.request, $0.tokens) })
        }
    }

    /// The target's number of the token behind each row of `output`.
    private func choose(_ output: Tensor, _ chains: [Chain]) throws -> [Int32] {
        let logits = try project(output)
        func choice(_ chain: Chain) -> TokenChoice? { chain.turn.choices[chain.tokens.count] }
        let places: Tensor
        if chains.allSatisfy({ choice($0)?.isGreedy ?? true }) {
            places = try logits.argmax(1)
        } else {
            let values = try logits.elements(as: Float.self)
            let width = logits.shape[1]
            let drawn = chains.enumerated().map { row, chain in
                Sampler.place(
                    of: choice(chain), in: Array(values[row * width..<(row + 1) * width]))
            }
            places = try Tensor(drawn, shape: [drawn.count], on: logits.device)
        }
        return try model.targets.selecting(places, along: 0).elements(as: Int32.self)
    }
}
