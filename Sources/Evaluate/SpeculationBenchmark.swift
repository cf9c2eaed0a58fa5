// What guessing ahead brings at a given share of right guesses, whatever a draft model of this shape would have learnt: the target's
// steps and the draft's passes are computed, and how many guesses stand is drawn (as vLLM's synthetic acceptance has it).
import Artifacts
import Foundation
import Generate
import Models
import Tensors

/// Times decode steps with drafts of a model, with an EAGLE-3 draft of random weights: a layer of the target's shape.
package struct SpeculationBenchmark {
    package let measured: MeasuredModel
    /// Sequences that decode together, and tokens that each has seen.
    package var batches = [1]
    package var contexts = [128]
    /// Tokens of a draft.
    package let length: Int
    /// Probabilities that a guess stands whose forerunners do.
    package var acceptances = [0.7]
    /// Spent on one measurement, about.
    package var seconds = 1.0
    /// Of what is drawn.
    package var seed: UInt64 = 0

    /// Tokens that a dummy draft can guess, where the model has more.
    package static let draftVocabulary = 32_000

    private var model: CausalLanguageModel { measured.model }

    /// - Parameter length: 1 to `Speculation.limit`.
    package init(_ measured: MeasuredModel, length: Int) {
        precondition((1...Speculation.limit).contains(length), "a draft of \(length) tokens")
        (self.measured, self.length) = (measured, length)
    }

    package struct Case: BenchmarkRow {
        package let plain: DecodeBenchmark.Case
        package let draftLength: Int
        package let acceptance: Double
        /// The step of one token with its choice, which the host waits for.
        package let plainMilliseconds: Double
        /// Passes over a step's tokens, all of which stand, and `draftLength` guesses.
        package let draftMilliseconds: Double
        /// A step of the token and its draft, with choices.
        package let verifyMilliseconds: Double
        /// Step, choices and the next draft, as the engine has them.
        package let speculativeMilliseconds: Double
        /// Tokens that a step brought.
        package let acceptanceLength: Double
        package let tokensPerSecond: Double
        /// Tokens per second over those of plain steps with choices.
        package let ratioToPlain: Double

        package enum Key: String, CodingKey, CaseIterable {
            case draftLength = "draft_length"
            case acceptance
            case plainMilliseconds = "plain_ms"
            case draftMilliseconds = "draft_ms"
            case verifyMilliseconds = "verify_ms"
            case speculativeMilliseconds = "speculative_ms"
            case acceptanceLength = "acceptance_length"
            case tokensPerSecond = "speculative_tokens_per_second"
            case ratioToPlain = "ratio_to_plain"
        }

        package func text(of column: JoinedColumn<DecodeBenchmark.Case.CodingKeys, Key>) -> String {
            switch column {
            case .first(let column): plain.text(of: column)
            case .second(.draftLength): "\(draftLength)"
            case .second(.acceptance): String(format: "%.2f", acceptance)
            case .second(.plainMilliseconds): String(format: "%.4f", plainMilliseconds)
            case .second(.draftMilliseconds): String(format: "%.4f", draftMilliseconds)
            case .second(.verifyMilliseconds): String(format: "%.4f", verifyMilliseconds)
            case .second(.speculativeMilliseconds): String(format: "%.4f", speculativeMilliseconds)
            case .second(.acceptanceLength): String(format: "%.3f", acceptanceLength)
            case .second(.tokensPerSecond): String(format: "%.1f", tokensPerSecond)
            case .second(.ratioToPlain): String(format: "%.3f", ratioToPlain)
            }
        }
    }

    /// What the largest case needs, by `BenchmarkMemory`.
    /// - Parameter type: of the weights.
    package static func load(
        _ target: ModelConfiguration, batches: [Int], contexts: [Int], length: Int,
        as type: ElementType
    ) throws -> BenchmarkMemory.Load {
        var load = DecodeBenchmark.load(batches: batches, contexts: contexts)
        load.tokens += reach(length)
        load.stepTokens *= length + 1
        load.predictions *= length + 1
        load.draftBytes = DraftModel.byteCount(try draftConfiguration(target), as: type)
        return load
    }

    /// Tokens behind a context: what stands of a step and what is guessed behind that.
    private static func reach(_ length: Int) -> Int { 2 * (length + 1) }

    private static func draftConfiguration(
        _ target: ModelConfiguration
    ) throws -> DraftConfiguration {
        let size = min(draftVocabulary, target.vocabularySize)
        return try DraftConfiguration(
            parsing: DraftConfiguration.source(for: target, vocabularySize: size),
            of: ModelConfiguration.file)
    }

    /// - Parameters:
    ///   - progress: called with the number of measurements made, and of all.
    ///   - tell: gets what is slower than it could be.
    package func run(
        progress: (_ done: Int, _ total: Int, _ note: String) throws -> Void,
        tell: (String) -> Void = { _ in }
    ) throws -> [Case] {
        var plain = DecodeBenchmark(measured)
        (plain.batches, plain.contexts, plain.seconds) = (batches, contexts, seconds)
        let count = batches.count * contexts.count
        let cases = try plain.run { done, _, note in
            try progress(done, count * (1 + acceptances.count), note)
        }
        let draft = try DraftModel(
            random: Self.draftConfiguration(model.configuration),
            embedding: model.ends.embedding)
        var (found, notes) = ([Case](), Set<String>())
        for it in cases {
            let loop = try DraftedLoop(
                measured, draft, batch: it.batch, context: it.context, length: length,
                reach: Self.reach(length))
            if let note = loop.note, notes.insert(note).inserted { tell(note) }
            try loop.prepare()
            var stopwatch = Stopwatch(model.device)
            stopwatch.seconds = seconds
            let plainSeconds = try stopwatch.time { _ in try loop.step() }
            let verifySeconds = try stopwatch.time { _ in try loop.verify() }
            let draftSeconds = try stopwatch.time { _ in try loop.draft() }
            for acceptance in acceptances {
                try progress(
                    count + found.count, count * (1 + acceptances.count),
                    "batch \(it.batch), context \(it.context), acceptance \(acceptance)")
                var (random, steps, tokens) = (RandomSource(seed: seed), 0, 0)
                let stepSeconds = try stopwatch.time { _ in
                    let accepted = (0..<it.batch).map { _ in
                        var accepted = 0
                        while accepted < length, random.unit() < acceptance { accepted += 1 }
                        return accepted
                    }
                    try loop.speculate(accepting: accepted)
                    steps += it.batch
                    tokens += it.batch + accepted.reduce(0, +)
                }
                let each = Double(tokens) / Double(steps)
                found.append(
                    Case(
                        plain: it, draftLength: length, acceptance: acceptance,
                        plainMilliseconds: 1e3 * plainSeconds,
                        draftMilliseconds: 1e3 * draftSeconds,
                        verifyMilliseconds: 1e3 * verifySeconds,
                        speculativeMilliseconds: 1e3 * stepSeconds, acceptanceLength: each,
                        tokensPerSecond: Double(it.batch) * each / stepSeconds,
                        ratioToPlain: each / stepSeconds * plainSeconds))
            }
        }
        return found
    }
}

extension SpeculationBenchmark.Case {
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: Key.self)
        self.init(
            plain: try DecodeBenchmark.Case(from: decoder),
            draftLength: try values.decode(Int.self, forKey: .draftLength),
            acceptance: try values.decode(Double.self, forKey: .acceptance),
            plainMilliseconds: try values.decode(Double.self, forKey: .plainMilliseconds),
            draftMilliseconds: try values.decode(Double.self, forKey: .draftMilliseconds),
            verifyMilliseconds: try values.decode(Double.self, forKey: .verifyMilliseconds),
            speculativeMilliseconds: try values.decode(
                Double.self, forKey: .speculativeMilliseconds),
            acceptanceLength: try values.decode(Double.self, forKey: .acceptanceLength),
            tokensPerSecond: try values.decode(Double.self, forKey: .tokensPerSecond),
            ratioToPlain: try values.decode(Double.self, forKey: .ratioToPlain))
    }

    /// All columns in one object.
    package func encode(to encoder: any Encoder) throws {
        try plain.encode(to: encoder)
        var values = encoder.container(keyedBy: Key.self)
        try values.encode(draftLength, forKey: .draftLength)
        try values.encode(acceptance, forKey: .acceptance)
        try values.encode(plainMilliseconds, forKey: .plainMilliseconds)
        try values.encode(draftMilliseconds, forKey: .draftMilliseconds)
        try values.encode(verifyMilliseconds, forKey: .verifyMilliseconds)
        try values.encode(speculativeMilliseconds, forKey: .speculativeMilliseconds)
        try values.encode(acceptanceLength, forKey: .acceptanceLength)
        try values.encode(tokensPerSecond, forKey: .tokensPerSecond)
        try values.encode(ratioToPlain, forKey: .ratioToPlain)
    }
}
