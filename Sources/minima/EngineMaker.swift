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
    /// Tokens that keys and values are cached of; `nil` takes what `share` leaves room for.
    let cacheTokens: Int?
    /// Of the memory that is free before a model is loaded.
    let share: Double
    /// Answers at once.
    let concurrency: Int
    /// Bytes of the host for keys and values of requests that gave their blocks back.
    let spill: Int

    struct Made {
        let engine: Engine
        let executor: Executor
        let cache: CacheSize
    }

    func make(
        _ source: WeightSource, _ configuration: ModelConfiguration, _ tokenizer: Tokenizer
    ) throws -> Made {
        var limits = Scheduler.Limits()
        limits.requests = concurrency
        limits.stepTokens = max(limits.stepTokens, concurrency)
        // The server itself refuses what is too much.
        limits.waiting = .max
        let size = try CacheSize(
            source, configuration, as: type, cache: cache, on: device, tokens: cacheTokens,
            share: share, sequences: concurrency, stepTokens: limits.stepTokens)
        TorchRuntime.keepFreedMemory()
        let executor = try Executor(
            CausalLanguageModel(source, configuration, as: type, on: device), cache: cache)
        let engine = Engine(
            try executor.runner(blocks: size.blocks, spill: spill), configuration,
            tokenizer: tokenizer, limits: limits)
        return Made(engine: engine, executor: executor, cache: size)
    }
}
