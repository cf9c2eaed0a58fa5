import ArgumentParser
import Artifacts
import Evaluate
import Generate
import Models
import Tensors
import Text

struct BenchDecodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode",
        abstract: "Time decode steps of a model, beside what its bytes allow.",
        discussion: """
            A step gives each of --batch sequences, which have seen --context tokens, one token more, as the \
            engine does it. The floor is the bytes that the step must read, the weights once and every \
            sequence's keys and values, at the bandwidth of a pure read in the same run. With --config and \
            --dummy any shape runs with random weights; --keep or --plan makes them those of a compressed \
            model, without ever making the dense one. What does not fit in memory is refused beforehand.

            With --acceptance an EAGLE-3 draft with random weights, a layer of the model's shape, guesses \
            --draft-length tokens ahead. Beside the plain step its passes, the step that checks a draft and both \
            together are timed; how many guesses stand is drawn, each with that probability if those before it \
            do. With --draft a trained draft guesses along greedy text behind pieces of --prompts, --context \
            tokens long: how far it is right, and the speed of the text with it and without.

              minima bench decode Models/tiny --batch 1,8 --context 128,1024
              minima bench decode --config qwen3-32b.json --dummy --batch 1 --context 8192 --device cuda
              minima bench decode --config qwen3-32b.json --dummy --keep 0.617 --format pivoted-low-rank
              minima bench decode --config qwen3-32b.json --dummy --draft-length 3 --acceptance 0.5,0.7,0.9
              minima bench decode Models/tiny --draft Models/tiny-draft --prompts valid.txt --batch 1,8
            """)

    @OptionGroup var measure: BenchModelOptions

    @Option(help: "Numbers of sequences that decode together, as in 1,8.")
    var batch = IntegerList(values: [1])

    @Option(help: "Tokens that each has seen, as in 128,1024.")
    var context = IntegerList(values: [128])

    @Option(help: "Seconds for one measurement, about.")
    var seconds = 1.0

    @Option(
        help: "Probabilities that a guess of a dummy draft stands, as in 0.5,0.7,0.9.")
    var acceptance: ShareList?

    @Option(
        help:
            "Tokens to guess at once, 1 to \(Speculation.limit). Default with --draft: as many as pay."
    )
    var draftLength: Int?

    @Option(help: "Folder of a trained draft model.", completion: .directory)
    var draft: String?

    @Option(help: "Text that neither model learnt from, for --draft.", completion: .file())
    var prompts: String?

    @Option(help: "Tokens to write behind each prompt. Default: 256.")
    var tokens: Int?

    @Flag(help: "Comma-separated values, for a table of results.")
    var csv = false

    @OptionGroup var result: OutputOptions

    func validate() throws {
        try measure.require()
        try MeasurementTime.validate(seconds)
        if let draftLength, !(1...Speculation.limit).contains(draftLength) {
            throw ValidationError("--draft-length is 1 to \(Speculation.limit)")
        }
        if draft != nil {
            guard measure.model != nil, prompts != nil else {
                throw ValidationError(
                    "--draft guesses what a model in a folder says behind --prompts")
            }
            guard acceptance == nil else {
                throw ValidationError("--acceptance is for dummy drafts, not for --draft")
            }
            guard tokens ?? 2 > 1 else { throw ValidationError("--tokens must be 2 or more") }
        } else {
            guard (draftLength == nil) == (acceptance == nil) else {
                throw ValidationError("--draft-length and --acceptance belong together")
            }
            guard prompts == nil, tokens == nil else {
                throw ValidationError("--prompts and --tokens are for --draft")
            }
        }
    }

    func run() throws {
        if let draft, let prompts {
            try drafted(draft, prompts)
        } else if let draftLength, let acceptance {
            try speculative(draftLength, acceptance.values)
        } else {
            try plain()
        }
    }

    private var cases: Int { batch.values.count * context.values.count }

    private func line(_ total: Int) -> ProgressLine {
        ProgressLine(
            "bench decode", unit: "cases", total: total, isQuiet: result.quiet || result.json)
    }

    private func plain() throws {
        let load = DecodeBenchmark.load(batches: batch.values, contexts: context.values)
        var benchmark = DecodeBenchmark(try measure.measured(load, context: load.tokens))
        benchmark.batches = batch.values
        benchmark.contexts = context.values
        benchmark.seconds = seconds
        let line = line(cases)
        let found = try withoutGradients {
            try benchmark.run { done, _, note in try line.update(done, note: note) }
        }
        line.finish()
        try result.show(found, csv: csv)
    }

    private func speculative(_ length: Int, _ acceptances: [Double]) throws {
        let load = try SpeculationBenchmark.load(
            measure.configuration(), batches: batch.values, contexts: context.values,
            length: length, as: measure.elementType(on: measure.resolvedDevice()))
        var benchmark = SpeculationBenchmark(
            try measure.measured(load, context: load.tokens), length: length)
        benchmark.batches = batch.values
        benchmark.contexts = context.values
        benchmark.acceptances = acceptances
        benchmark.seconds = seconds
        let line = line(cases * (1 + acceptances.count))
        let found = try withoutGradients {
            try benchmark.run(
                progress: { done, _, note in try line.update(done, note: note) },
                tell: { StandardError.note($0) })
        }
        line.finish()
        try result.show(found, csv: csv)
    }

    private func drafted(_ folder: String, _ prompts: String) throws {
        let written = tokens ?? 256
        let load = try DraftBenchmark.load(
            batches: batch.values, contexts: context.values, tokens: written,
            draft: DraftConfiguration(folder: folder),
            as: measure.elementType(on: measure.resolvedDevice()))
        let measured = try measure.measured(load, context: (context.values.max() ?? 1) + written)
        var benchmark = DraftBenchmark(
            measured, try DraftModel(folder: folder, for: measured.model),
            try Tokenizer(path: measure.model ?? ""), prompts: Corpus(path: prompts))
        benchmark.batches = batch.values
        benchmark.contexts = context.values
        benchmark.length = draftLength
        benchmark.tokens = written
        let line = line(2 * cases)
        let found = try withoutGradients {
            try benchmark.run(
                progress: { done, _, note in try line.update(done, note: note) },
                tell: { StandardError.note($0) })
        }
        line.finish()
        try result.show(found, csv: csv)
    }
}

/// Numbers from 0 to 1, as in 0.5,0.7.
struct ShareList: ExpressibleByArgument {
    let values: [Double]

    init?(argument: String) {
        var values: [Double] = []
        for text in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let value = Double(text), (0...1).contains(value), !values.contains(value) else {
                return nil
            }
            values.append(value)
        }
        self.values = values
    }
}
