// Tokens a second of greedy generation behind prompts: one measure for every way to decode, with a draft or without. The step
// that reads the prompts is not timed; it brings the first tokens.
import Artifacts
import Generate
import Models
import Tensors
import Text

package struct GenerationSpeed: Sendable {
    /// Groups of `batch` prompts of equal length, one group after the other; the first group warms up.
    package let groups: [[[Int]]]
    /// Of each answer.
    package let tokens: Int

    /// What computes the steps.
    package enum Decoder {
        /// libtorch, operation by operation.
        case libtorch
        /// What this program has for the model and its device.
        case kernels(Speculation)
    }

    package struct Result: Sendable {
        /// Tokens a second of all sequences together, of each timed group.
        package let rates: [Double]
        /// What was said, of all groups.
        package let answers: [[Int]]
        /// Of the timed groups, where something guessed ahead: tokens that a step with a draft brought on average.
        package let acceptanceLength: Double?
        /// What is slower than it could be, and why.
        package let note: String?

        package var median: Double {
            let sorted = rates.sorted()
            let middle = sorted.count / 2
            return sorted.count % 2 == 1
                ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        }
    }

    /// - Parameters:
    ///   - groups: two at least, none empty; no prompt twice, for what was read before is not read again.
    ///   - tokens: two at least.
    package init(groups: [[[Int]]], tokens: Int) {
        precondition(
            groups.count > 1 && tokens > 1, "the first group and the first token are not timed")
        (self.groups, self.tokens) = (groups, tokens)
    }

    /// - Parameter progress: called with the number of groups that are done.
    package func run(
        _ model: CausalLanguageModel, _ tokenizer: Tokenizer, by decoder: Decoder,
        progress: (_ done: Int) throws -> Void
    ) throws -> Result {
        let (engine, note) = try engine(model, tokenizer, decoder)
        var (rates, answers) = ([Double](), [[Int]]())
        var warm = DraftCounts()
        for (index, group) in groups.enumerated() {
            try progress(index)
            let said = try engine.greedyTexts(behind: group, tokens: tokens)
            precondition(
                said.texts.allSatisfy { $0.count == tokens }, "nothing ends an answer early")
            answers += said.texts
            if index == 0 { warm = engine.draftCounts } else { rates.append(said.tokensPerSecond) }
            if let fault = engine.draftFault { throw GenerationSpeedError.draft(fault) }
        }
        try progress(groups.count)
        let counts = engine.draftCounts
        let (drafts, accepted) = (counts.drafts - warm.drafts, counts.accepted - warm.accepted)
        return Result(
            rates: rates, answers: answers,
            acceptanceLength: drafts == 0 ? nil : 1 + Double(accepted) / Double(drafts), note: note)
    }

    private func engine(
        _ model: CausalLanguageModel, _ tokenizer: Tokenizer, _ decoder: Decoder
    ) throws -> (Engine, note: String?) {
        let batch = groups.map(\.count).max() ?? 1
        let prompt = groups.joined().map(\.count).max() ?? 1
        var limits = Scheduler.Limits()
        // Every prompt of a group is read in its first step.
        limits.requests = batch
        limits.stepTokens = max(limits.stepTokens, batch * max(prompt, 1 + Speculation.limit))
        limits.promptTokens = limits.stepTokens
        let blockTokens = Executor.blockTokens
        let blocks = batch * ((prompt + tokens + Speculation.limit) / blockTokens + 1)
        switch decoder {
        case .libtorch:
            let cache = Executor.cacheType(model.ends.embedding.elementType, on: model.device)
            let runner = try ModelRunner(
                model, blocks: blocks, blockTokens: blockTokens, as: cache)
            return (
                Engine(runner, model.configuration, tokenizer: tokenizer, limits: limits), nil
            )
        case .kernels(let speculation):
            let executor = try Executor(model)
            let speculating = try executor.speculating(speculation, blocks: blocks)
            let notes = [executor.note, speculating.note].compactMap { $0 }
            return (
                Engine(
                    speculating, model.configuration, tokenizer: tokenizer, limits: limits),
                notes.isEmpty ? nil : notes.joined(separator: "; ")
            )
        }
    }
}

package enum GenerationSpeedError: Error, CustomStringConvertible {
    case draft(String)

    package var description: String {
        switch self {
        case .draft(let fault): "the draft could not guess: \(fault)"
        }
    }
}
