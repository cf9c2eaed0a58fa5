import Models
import Tensors

/// Computes what the scheduler plans.
package protocol StepRunner: AnyObject {
    /// Blocks that the cache has, and tokens of each.
    var blocks: Int { get }
    var blockTokens: Int { get }

    /// - Returns: logits `[predictions, vocabulary]` of the items that predict, in their order.
    func logits(of step: Scheduler.Step) throws -> Tensor
}

/// Runs a model through libtorch, on the device that holds it.
package final class ModelRunner: StepRunner {
    private let model: CausalLanguageModel
    private let cache: PagedCache

    package convenience init(
        _ model: CausalLanguageModel, blocks: Int, blockTokens: Int = 64,
        as type: ElementType? = nil,
        noise: UInt64? = nil
    ) throws {
        self.init(
            model,
            try PagedCache(
                model.configuration, blocks: blocks, blockTokens: blockTokens,
                as: type ?? model.ends.embedding.elementType, on: model.device, noise: noise))
    }

    init(_ model: CausalLanguageModel, _ cache: PagedCache) {
        (self.model, self.cache) = (model, cache)
    }

    package var blocks: Int { cache.blocks }
    package var blockTokens: Int { cache.blockTokens }

    package func logits(of step: Scheduler.Step) throws -> Tensor {
        try withoutGradients {
            let batch = try model.batch(
                step.items.map { .init(tokens: $0.tokens, start: $0.start, blocks: $0.blocks) },
                cache)
            var (places, offset) = ([Int](), 0)
            for item in step.items {
                offset += item.tokens.count
                if item.predicts { places.append(offset - 1) }
            }
            return try model.ends.project(model.hiddenStates(batch, at: places))
        }
    }
}
