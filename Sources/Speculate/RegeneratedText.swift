// windows of a corpus → windows that begin like them and go on as the model writes, token by token by what decodes its
// requests; groups of windows at a time, each a file, so that a run that is killed loses one group at most.
import Artifacts
import Foundation
import Generate
import Heal
import Models
import Tensors
import Text

struct RegeneratedText {
    private let settings: Regeneration
    private let corpus: TrainingWindows
    private let seed: UInt64
    /// Tokens of a window.
    private let length: Int
    /// Windows to write.
    private let count: Int
    /// Where the files are.
    private let folder: String

    /// Windows of a file; what a window says depends neither on its group nor on how many are written side by side.
    private static let group = 256
    /// Share of the free memory that keys and values may take.
    private static let memoryShare = 0.5

    /// - Parameters:
    ///   - corpus: as many of its windows as `tokens` need are taken, in an order of `seed`, none twice.
    ///   - folder: of the unfinished run.
    init(
        _ settings: Regeneration, of corpus: TrainingWindows, tokens: Int, seed: UInt64,
        in folder: String
    ) {
        (self.settings, self.corpus, self.seed, self.folder) = (settings, corpus, seed, folder)
        length = corpus.length
        count = min(corpus.count, max(1, (tokens + length - 1) / length))
    }

    /// Writes what an earlier run has not written.
    /// - Parameter model: says what follows; its weights are laid out for decoding while this goes on.
    func windows(
        by model: CausalLanguageModel, _ tokenizer: Tokenizer,
        tell: (TrainingEvent) throws -> Void
    ) throws -> TrainingWindows {
        var order = WindowOrder(count: corpus.count, seed: seed)
        var writer: Writer?
        let begun = ContinuousClock.now
        var written = 0
        let files = try stride(from: 0, to: count, by: Self.group).map { first in
            let path = "\(folder)/regenerated-\(first / Self.group).safetensors"
            if !FileManager.default.fileExists(atPath: path) {
                let numbers = first..<min(first + Self.group, count)
                let prompts = try numbers.map {
                    try corpus.window(order.window(at: $0)).prefix(settings.promptTokens).map(
                        Int.init)
                }
                let writing = try writer ?? Writer(model, tokenizer, length: length, tell: tell)
                writer = writing
                let texts = try writing.texts(
                    behind: prompts, temperature: settings.temperature,
                    seeds: numbers.map { seed &+ UInt64($0) }
                ) { done in
                    let seconds = (ContinuousClock.now - begun) / .seconds(1)
                    try tell(
                        .writing(
                            windows: first, of: count,
                            tokensPerSecond: Double(written + done) / max(seconds, 1e-9)))
                }
                written += texts.count * (length - settings.promptTokens)
                // The last window's last target is nobody's continuation; one in as many as there are tokens in a group.
                let tokens = texts.flatMap { $0 } + [texts[0][0]]
                try TokenFile.write(
                    tokens.map(Int32.init), documents: texts.indices.map { $0 * length },
                    vocabulary: model.configuration.vocabularySize, to: path)
            }
            return try TokenFile(path, source: path)
        }
        return try TrainingWindows(files, length: length)
    }

    /// Requests that decode side by side.
    private struct Writer {
        private let engine: Engine
        private let length: Int

        init(
            _ model: CausalLanguageModel, _ tokenizer: Tokenizer, length: Int,
            tell: (TrainingEvent) throws -> Void
        ) throws {
            let executor = try Executor(model)
            if let note = executor.note { try tell(.note(note)) }
            let each = length / Executor.blockTokens + 1
            let room =
                try model.device == .cpu
                ? Self.mostOnHost
                : Int(
                    RegeneratedText.memoryShare
                        * Double(TorchRuntime.freeMemory(on: model.device)))
            let side = max(1, min(RegeneratedText.group, room / (each * executor.blockBytes)))
            var limits = Scheduler.Limits()
            limits.requests = side
            engine = Engine(
                try executor.runner(blocks: side * each), model.configuration,
                tokenizer: tokenizer, limits: limits)
            self.length = length
        }

        /// Bytes of keys and values on a CPU.
        private static let mostOnHost = 1 << 30

        /// - Parameter progress: called behind each step with the tokens written so far.
        /// - Returns: `length` tokens each, the prompt's first.
        func texts(
            behind prompts: [[Int]], temperature: Double, seeds: [UInt64],
            progress: (Int) throws -> Void
        ) throws -> [[Int]] {
            let ids = try zip(prompts, seeds).map { prompt, seed in
                var options = Generator.Options()
                options.maxTokens = length - prompt.count
                options.endsAtEndOfText = false
                options.sampling.temperature = temperature
                options.sampling.seed = seed
                return try engine.submit(prompt, options)
            }
            var steps = 0
            let results = try engine.run { results in
                steps += 1
                guard steps % 16 == 0 else { return }
                try progress(results.values.reduce(0) { $0 + $1.tokens.count })
            }
            let texts = zip(prompts, ids).map { $0 + (results[$1]?.tokens ?? []) }
            precondition(
                texts.allSatisfy { $0.count == length }, "nothing ends a window before its end")
            return texts
        }
    }
}
