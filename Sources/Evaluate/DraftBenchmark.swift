// What a trained draft brings: greedy text behind held-out text, through the engine, with it and without.
import Artifacts
import Foundation
import Generate
import Models
import Tensors
import Text

/// Measures how far a draft guesses right, and the speed of text with it beside that of text without.
package struct DraftBenchmark {
    package let measured: MeasuredModel
    package let draft: DraftModel
    package let tokenizer: Tokenizer
    /// Text that neither learnt from.
    package let prompts: Corpus
    /// Sequences that decode together, and tokens of the prompt of each.
    package var batches = [1]
    package var contexts = [128]
    /// Tokens of a draft; `nil`: as many as pay.
    package var length: Int?
    /// Tokens that are written behind each prompt.
    package var tokens = 256

    package init(
        _ measured: MeasuredModel, _ draft: DraftModel, _ tokenizer: Tokenizer, prompts: Corpus
    ) {
        (self.measured, self.draft, self.tokenizer) = (measured, draft, tokenizer)
        self.prompts = prompts
    }

    /// What the largest case needs, by `BenchmarkMemory`.
    package static func load(
        batches: [Int], contexts: [Int], tokens: Int, draft: DraftConfiguration,
        as type: ElementType
    ) -> BenchmarkMemory.Load {
        let (batch, context) = (batches.max() ?? 1, contexts.max() ?? 1)
        return BenchmarkMemory.Load(
            sequences: batch, tokens: context + tokens + Speculation.limit,
            stepTokens: limits(batch).stepTokens, predictions: batch * (Speculation.limit + 1),
            draftBytes: DraftModel.byteCount(draft, as: type))
    }

    private static func limits(_ batch: Int) -> Scheduler.Limits {
        var limits = Scheduler.Limits()
        limits.requests = batch
        limits.stepTokens = max(limits.stepTokens, batch * (Speculation.limit + 1))
        return limits
    }

    /// - Parameters:
    ///   - progress: called with the number of texts' runs made, and of all.
    ///   - tell: gets what is slower than it could be.
    package func run(
        progress: (_ done: Int, _ total: Int, _ note: String) throws -> Void,
        tell: (String) -> Void = { _ in }
    ) throws -> [SpeculationEntry] {
        let facts = measured.facts
        var (found, notes) = ([SpeculationEntry](), Set<String>())
        let total = 2 * batches.count * contexts.count
        for context in contexts {
            for batch in batches {
                let prompts = try prompts(batch, of: context)
                func texts(_ speculation: Speculation) throws -> Run {
                    let words = "batch \(batch), context \(context)"
                    try progress(2 * found.count + (speculation.isOn ? 1 : 0), total, words)
                    let run = try self.texts(behind: prompts, speculation)
                    if let note = run.note, notes.insert(note).inserted { tell(note) }
                    return run
                }
                let plain = try texts(.none)
                let drafted = try texts(Speculation(.draft(draft), length: length))
                let counts = drafted.counts
                found.append(
                    SpeculationEntry(
                        variant: facts.variant, keep: facts.keep, kv: facts.kv, batch: batch,
                        context: context, tokens: tokens, draftLength: length,
                        drafted: counts.drafted, accepted: counts.accepted,
                        acceptanceLength: counts.acceptanceLength,
                        acceptedShares: zip(counts.acceptedAt, counts.draftedAt).map {
                            Double($0) / Double(max(1, $1))
                        },
                        plainTokensPerSecond: plain.tokensPerSecond,
                        tokensPerSecond: drafted.tokensPerSecond,
                        ratioToPlain: drafted.tokensPerSecond / plain.tokensPerSecond,
                        sameTexts: zip(plain.texts, drafted.texts).filter { $0 == $1 }.count))
            }
        }
        return found
    }

    /// Pieces of the held-out text, one behind the other.
    private func prompts(_ count: Int, of length: Int) throws -> [[Int]] {
        // A window has a token more than its inputs.
        var windows = TokenWindows(
            try TokenStream(prompts, tokenizer), length: max(1, length - 1), stride: length)
        let found = try windows.next(count).map { $0.tokens.prefix(length).map { Int($0) } }
        guard found.count == count else {
            throw DraftBenchmarkError.tooShort(
                file: prompts.path, prompts: count, tokens: length, found: found.count)
        }
        return found
    }

    private struct Run {
        let texts: [[Int]]
        let tokensPerSecond: Double
        let counts: DraftCounts
        let note: String?
    }

    /// Writes behind all prompts at once. What counts is the second time: graphs are captured and kernels compiled then.
    private func texts(behind prompts: [[Int]], _ speculation: Speculation) throws -> Run {
        let each = MeasuredModel.blocks(for: (prompts[0].count + tokens + Speculation.limit))
        let speculating = try measured.executor.speculating(
            speculation, blocks: prompts.count * each)
        let engine = Engine(
            speculating, measured.model.configuration, tokenizer: tokenizer,
            limits: Self.limits(prompts.count))
        _ = try texts(behind: prompts, engine)
        let (texts, tokensPerSecond) = try texts(behind: prompts, engine)
        return Run(
            texts: texts, tokensPerSecond: tokensPerSecond, counts: engine.draftCounts,
            note: speculating.note)
    }

    private func texts(
        behind prompts: [[Int]], _ engine: Engine
    ) throws -> (texts: [[Int]], tokensPerSecond: Double) {
        try engine.greedyTexts(behind: prompts, tokens: tokens) {
            if let fault = engine.draftFault { throw DraftBenchmarkError.draft(fault) }
        }
    }
}

extension SpeculationEntry: BenchmarkRow {
    package func text(of column: CodingKeys) -> String {
        switch column {
        case .variant: variant.rawValue
        case .keep: String(format: "%.4f", keep)
        case .kv: kv
        case .batch: "\(batch)"
        case .context: "\(context)"
        case .tokens: "\(tokens)"
        case .draftLength: draftLength.map(String.init) ?? "auto"
        case .drafted: "\(drafted)"
        case .accepted: "\(accepted)"
        case .acceptanceLength: String(format: "%.3f", acceptanceLength)
        case .acceptedShares:
            acceptedShares.map { String(format: "%.3f", $0) }.joined(separator: " ")
        case .plainTokensPerSecond: String(format: "%.1f", plainTokensPerSecond)
        case .tokensPerSecond: String(format: "%.1f", tokensPerSecond)
        case .ratioToPlain: String(format: "%.3f", ratioToPlain)
        case .sameTexts: "\(sameTexts)"
        }
    }
}

package enum DraftBenchmarkError: Error, CustomStringConvertible {
    case tooShort(file: String, prompts: Int, tokens: Int, found: Int)
    /// Why a step brought no draft.
    case draft(String)

    package var description: String {
        switch self {
        case .tooShort(let file, let prompts, let tokens, let found):
            "\(file) holds \(found) prompts of \(tokens) tokens, and \(prompts) are wanted"
        case .draft(let fault): "drafting failed: \(fault)"
        }
    }
}
