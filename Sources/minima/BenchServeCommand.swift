import ArgumentParser
import Evaluate
import Foundation
import Tensors

struct BenchServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve requests to a model without a network, and time what each sees.",
        discussion: """
            --concurrency requests of random tokens run at once, and a new one comes as soon as another ends. \
            Scheduler and runner are the engine's; each token is the likeliest one, and no text is made of \
            it, so that a shape with random weights takes the same path as a model with its tokenizer. \
            ttft is the time to the first token of a request, itl that between two of them, each as \
            the 50th, 90th and 99th percentile.

              minima bench serve Models/tiny --requests 64 --concurrency 8
              minima bench serve --config qwen3-32b.json --dummy --keep 0.617 --concurrency 32 --device cuda
            """)

    @OptionGroup var measure: BenchModelOptions

    @Option(help: "Requests in all.")
    var requests = 32

    @Option(help: "Requests at once.")
    var concurrency = 8

    @Option(help: "Tokens of each prompt.")
    var promptTokens = 512

    @Option(help: "Tokens of each answer.")
    var outputTokens = 128

    @Option(help: "Blocks of 64 tokens that the cache has. Default: all that the requests need.")
    var blocks: Int?

    @OptionGroup var spill: SpillOptions

    @Option(help: "Seed of the prompts.")
    var seed: UInt64 = 0

    @Flag(help: "Comma-separated values, for a table of results.")
    var csv = false

    @OptionGroup var result: OutputOptions

    func validate() throws {
        for (name, value) in [
            ("requests", requests), ("concurrency", concurrency), ("prompt-tokens", promptTokens),
            ("output-tokens", outputTokens),
        ] where !(1...1 << 24).contains(value) {
            throw ValidationError("--\(name) must be from 1 to \((1 << 24).grouped)")
        }
    }

    func run() throws {
        if let blocks, blocks < 1 { throw ValidationError("--blocks must be 1 or more") }
        let atOnce = min(concurrency, requests)
        let load = ServeBenchmark.load(
            concurrency: atOnce, promptTokens: promptTokens, outputTokens: outputTokens)
        var benchmark = ServeBenchmark(try measure.measured(load, context: load.tokens))
        benchmark.requests = requests
        benchmark.concurrency = atOnce
        benchmark.promptTokens = promptTokens
        benchmark.outputTokens = outputTokens
        benchmark.seed = seed
        benchmark.blocks = blocks
        benchmark.spill = spill.bytes
        TorchRuntime.keepFreedMemory()
        let line = ProgressLine(
            "bench serve", unit: "requests", total: requests, isQuiet: result.quiet || result.json)
        let served = try withoutGradients {
            try benchmark.run { done, _ in try line.update(done) }
        }
        line.finish()
        if result.json {
            try result.printJSON(served)
        } else {
            print(csv ? [served].csv : served.lines)
        }
    }
}

extension ServeBenchmark.Result {
    /// A line for each column: there is but one row.
    fileprivate var lines: String {
        zip(Self.columns, values).map { ($0.replacingOccurrences(of: "_", with: " "), $1) }.aligned
    }
}
