import ArgumentParser
import Evaluate
import Generate
import Tensors

struct BenchPrefillCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prefill",
        abstract: "Time how a model reads prompts.",
        discussion: """
            A prompt of --tokens goes through the model in chunks, as the engine computes it; prefill_ms is \
            the time to the first token. tflops counts 2 operations per linear parameter and token, the head \
            once, and 4 per head dimension of every query and key that it sees.

              minima bench prefill Models/tiny --tokens 512,4000
              minima bench prefill --config qwen3-32b.json --dummy --keep 0.617 --device cuda --csv
            """)

    @OptionGroup var measure: BenchModelOptions

    @Option(help: "Lengths of prompts, as in 512,8192.")
    var tokens = IntegerList(values: [8_192])

    @Option(help: "Tokens that go through the model at once.")
    var chunk = Scheduler.Limits().stepTokens

    @Option(help: "Seconds for one measurement, about; at least one prompt is read.")
    var seconds = 1.0

    @Flag(help: "Comma-separated values, for a table of results.")
    var csv = false

    @OptionGroup var result: OutputOptions

    func validate() throws {
        try measure.require()
        guard chunk >= 1 else { throw ValidationError("--chunk must be 1 or more") }
        try MeasurementTime.validate(seconds)
    }

    func run() throws {
        let load = PrefillBenchmark.load(tokens: tokens.values, chunk: chunk)
        var benchmark = PrefillBenchmark(try measure.measured(load, context: load.tokens))
        benchmark.tokens = tokens.values
        benchmark.chunk = chunk
        benchmark.seconds = seconds
        TorchRuntime.keepFreedMemory()
        let line = ProgressLine(
            "bench prefill", unit: "cases", total: tokens.values.count,
            isQuiet: result.quiet || result.json)
        let cases = try withoutGradients {
            try benchmark.run { done, _, note in try line.update(done, note: note) }
        }
        line.finish()
        try result.show(cases, csv: csv)
    }
}
