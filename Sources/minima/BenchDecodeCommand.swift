import ArgumentParser
import Evaluate
import Tensors

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

              minima bench decode Models/tiny --batch 1,8 --context 128,1024
              minima bench decode --config qwen3-32b.json --dummy --batch 1 --context 8192 --device cuda
              minima bench decode --config qwen3-32b.json --dummy --keep 0.617 --format pivoted-low-rank
            """)

    @OptionGroup var measure: BenchModelOptions

    @Option(help: "Numbers of sequences that decode together, as in 1,8.")
    var batch = IntegerList(values: [1])

    @Option(help: "Tokens that each has seen, as in 128,1024.")
    var context = IntegerList(values: [128])

    @Option(help: "Seconds for one measurement, about.")
    var seconds = 1.0

    @Flag(help: "Comma-separated values, for a table of results.")
    var csv = false

    @OptionGroup var result: OutputOptions

    func validate() throws {
        try measure.require()
        try MeasurementTime.validate(seconds)
    }

    func run() throws {
        let load = DecodeBenchmark.load(batches: batch.values, contexts: context.values)
        var benchmark = DecodeBenchmark(try measure.measured(load, context: load.tokens))
        benchmark.batches = batch.values
        benchmark.contexts = context.values
        benchmark.seconds = seconds
        let line = ProgressLine(
            "bench decode", unit: "cases", total: batch.values.count * context.values.count,
            isQuiet: result.quiet || result.json)
        let cases = try withoutGradients {
            try benchmark.run { done, _, note in try line.update(done, note: note) }
        }
        line.finish()
        try result.show(cases, csv: csv)
    }
}
