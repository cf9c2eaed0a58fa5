import Generate
import Models
import Tensors

/// Decode steps of some sequences with a draft, over and over at one context, in which what stands of a draft is decided by the
/// caller.
final class DraftedLoop {
    private let runner: any StepRunner
    private let drafter: any Drafter
    /// What is slower than it could be, and why.
    let note: String?
    private let context: Int
    private let length: Int
    private let blocks: [[Int]]
    /// Of each sequence the text up to the context, and behind it what came last.
    private var texts: [[Int32]]
    private var drafts: [[Int32]]
    private let greedy = TokenChoice(options: SamplingOptions(), seen: [], uniform: 0)

    /// - Parameter reach: tokens that a sequence may have behind the context.
    init(
        _ measured: MeasuredModel, _ draft: DraftModel, batch: Int, context: Int, length: Int,
        reach: Int
    ) throws {
        let each = MeasuredModel.blocks(for: context + reach)
        let speculating = try measured.executor.speculating(
            Speculation(.draft(draft), length: length), blocks: batch * each, noise: 5)
        guard let drafter = speculating.drafter else {
            preconditionFailure("a draft has a drafter")
        }
        (runner, self.drafter, note) = (speculating.runner, drafter, speculating.note)
        (self.context, self.length) = (context, length)
        let vocabulary = measured.model.configuration.vocabularySize
        blocks = (0..<batch).map { Array($0 * each..<($0 + 1) * each) }
        texts = (0..<batch).map { index in
            (0..<context + reach).map { Int32(($0 * 17 + index * 31 + 7) % vocabulary) }
        }
        drafts = texts.map { Array($0[context + 1..<context + 1 + length]) }
    }

    private func step(_ drafts: [[Int32]]) -> Scheduler.Step {
        Scheduler.Step(
            items: texts.indices.map { index in
                Scheduler.Item(
                    request: RequestID(index), tokens: [texts[index][context]] + drafts[index],
                    start: context, blocks: blocks[index], predicts: true,
                    drafted: drafts[index].count)
            }, preempted: [])
    }

    private func predictions(of step: Scheduler.Step) throws -> [Prediction] {
        let rows = step.items.reduce(0) { $0 + $1.predictedRows }
        return try runner.predictions(of: step, Array(repeating: greedy, count: rows))
    }

    /// Lets the drafter know of a text before the context: it follows texts from where it met them.
    func prepare() throws {
        let count = min(2, context)
        guard count > 0 else { return }
        let items = texts.indices.map { index in
            Scheduler.Item(
                request: RequestID(index), tokens: Array(texts[index][context - count..<context]),
                start: context - count, blocks: blocks[index], predicts: count == 1)
        }
        let step = Scheduler.Step(items: items, preempted: [])
        _ = try runner.logits(of: step)
        _ = try drafter.draft(
            behind: step,
            texts.indices.map { turn($0, kept: count, wanted: 0) })
        try verify()
    }

    /// With more text than stands, which a draft model does not look at: a copy of a long one takes its time.
    private func turn(_ index: Int, kept: Int, wanted: Int) -> DraftTurn {
        DraftTurn(
            request: RequestID(index), item: index, kept: kept, tokens: texts[index],
            blocks: blocks[index], wanted: wanted,
            choices: Array(repeating: greedy, count: wanted))
    }

    /// One token of each sequence, with its choice.
    func step() throws { _ = try predictions(of: step(texts.map { _ in [] })) }

    /// The token and its draft of each sequence, with choices.
    func verify() throws { _ = try predictions(of: step(drafts)) }

    /// Drafts behind the step that was computed last, all of whose tokens stand.
    func draft() throws {
        _ = try guess(behind: step(drafts), texts.map { _ in length + 1 })
    }

    private func guess(
        behind step: Scheduler.Step, _ kept: [Int]
    ) throws -> [RequestID: [Int32]] {
        let found = try drafter.draft(
            behind: step,
            kept.enumerated().map { turn($0.offset, kept: $0.element, wanted: length) })
        guard found.count == texts.count, found.values.allSatisfy({ $0.count == length }) else {
            throw DraftedLoopError.nothing
        }
        return found
    }

    /// A step with drafts, what comes of them, and the next drafts.
    /// - Parameter accepted: how many tokens of each draft stand.
    func speculate(accepting accepted: [Int]) throws {
        let step = step(drafts)
        let predictions = try predictions(of: step)
        for index in texts.indices {
            let row = index * (length + 1) + accepted[index]
            guard case .token(let token) = predictions[row] else {
                throw DraftedLoopError.notFinite
            }
            for place in 0..<accepted[index] {
                texts[index][context + 1 + place] = drafts[index][place]
            }
            texts[index][context + 1 + accepted[index]] = Int32(token)
        }
        let found = try guess(behind: step, accepted.map { $0 + 1 })
        for index in texts.indices { drafts[index] = found[RequestID(index)] ?? drafts[index] }
    }
}

package enum DraftedLoopError: Error, CustomStringConvertible {
    case notFinite
    case nothing

    package var description: String {
        switch self {
        case .notFinite: "the model predicts no numbers"
        case .nothing: "the draft guesses fewer tokens than are measured: its logits are no numbers"
        }
    }
}
