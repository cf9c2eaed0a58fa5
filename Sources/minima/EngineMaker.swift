import Artifacts
import Evaluate
import Generate
import Models
import Tensors
import Text

/// Makes engines of models, all with the same options.
struct EngineMaker: Sendable {
    let device: Device
    /// What is computed in, and what keys and values are kept in if not in that.
    let type: ElementType
    let cache: ElementType?
    /// Tokens that keys and values are cached of; `nil` takes what there is room for.
    let cacheTokens: Int?
    /// Bytes that weights and caches may take.
    let room: Int
    /// Answers at once.
    let concurrency: Int
    /// What guesses ahead of the first model.
    let speculation: SpeculationOptions
    /// Bytes of the host for keys and values of requests that gave their blocks back.
    let spill: Int

    private var limits: Scheduler.Limits {
        var limits = Scheduler.Limits()
        limits.requests = concurrency
        limits.stepTokens = max(limits.stepTokens, concurrency)
        // The server itself refuses what is too much.
        limits.waiting = .max
        return limits
    }

    /// - Parameter speculates: as of `make`.
    /// - Throws: where weights and a cache have no room.
    func size(
        _ source: WeightSource, _ configuration: ModelConfiguration, speculates: Bool
    ) throws -> CacheSize {
        try CacheSize(
            source, configuration, as: type, cache: cache, on: device, tokens: cacheTokens,
            room: room, sequences: concurrency, stepTokens: limits.stepTokens,
            draft: speculates ? speculation.draft.map { try DraftConfiguration(folder: $0) } : nil)
    }

    /// - Parameters:
    ///   - size: of the cache.
    ///   - speculates: whether something guesses ahead; a draft guesses what one model says.
    func make(
        _ source: WeightSource, _ configuration: ModelConfiguration, _ tokenizer: Tokenizer,
        _ size: CacheSize, speculates: Bool
    ) throws -> (engine: Engine, executor: Executor, note: String?) {
        TorchRuntime.keepFreedMemory()
        let executor = try Executor(
            CausalLanguageModel(source, configuration, as: type, on: device), cache: cache)
        var (ahead, note) = (Speculation.none, String?.none)
        if speculates {
            var checkpoint: Checkpoint?
            if case .checkpoint(let opened) = source { checkpoint = opened }
            (ahead, note) = try speculation.load(for: executor.model, checkpoint)
        }
        let speculating = try executor.speculating(ahead, blocks: size.blocks, spill: spill)
        let engine = Engine(speculating, configuration, tokenizer: tokenizer, limits: limits)
        let notes = [note, speculating.note].compactMap { $0 }
        return (engine, executor, notes.isEmpty ? nil : notes.joined(separator: "; "))
    }
}
