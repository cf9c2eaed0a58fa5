import ArgumentParser
import Evaluate
import Foundation
import Report
import Tensors

struct BenchServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Send requests to a server, or to a model without one, and time what each sees.",
        discussion: """
            With --url requests go over HTTP to a server that speaks OpenAI's interface, as streamed \
            completions of random token ids. Otherwise scheduler and runner of this program's engine \
            compute them without a network: each token is the likeliest one, and no text is made of it, \
            so that a shape with random weights takes the same path as a model with its tokenizer.

            --concurrency requests run at once, and a new one comes as soon as another ends; or they come \
            at --rate, by chance (Poisson); or as in a --trace file. ttft is the time to the first token, \
            itl that between two pieces of text, tpot the mean per token behind the first, e2e that to the \
            end, each as the 50th, 90th and 99th percentile. goodput counts requests within --slo-ttft and \
            --slo-itl.

              minima bench serve Models/tiny --requests 64 --concurrency 8
              minima bench serve --config qwen3-32b.json --dummy --keep 0.617 --concurrency 32 --device cuda
              minima bench serve --url http://127.0.0.1:8000 --rate 4 --requests 200 --slo-ttft 500 --slo-itl 50 --figure load.svg
            """)

    @OptionGroup var measure: BenchModelOptions

    @Option(help: "Server to send requests to, as in http://127.0.0.1:8000.")
    var url: String?

    @Option(help: "Key that the server lets clients in with.")
    var apiKey: String?

    @Option(help: "Name that the server knows the model by. Default: the first that it tells.")
    var name: String?

    @Option(help: "Ids of prompts that are sent to a server are below this.")
    var vocabulary = 1_000

    @Option(help: "Seconds that a request to a server may take.")
    var timeout = 600

    @Option(help: "Requests to a server that come before those that are measured.")
    var warmUp = 4

    @OptionGroup var arrival: ArrivalOptions

    @Option(help: "Blocks of 64 tokens that the cache has. Default: all that the requests need.")
    var blocks: Int?

    @OptionGroup var spill: SpillOptions

    @Option(help: "Seed of the prompts, and of --rate's times.")
    var seed: UInt64 = 0

    @Option(help: "Milliseconds to a request's first token that are good enough. Needs --url.")
    var sloTtft: Double?

    @Option(
        help:
            "Milliseconds per token behind the first, a request's mean, that are good enough. Needs --url."
    )
    var sloItl: Double?

    @Flag(help: "Comma-separated values, for a table of results.")
    var csv = false

    @Option(
        help: "Draw the distributions of the times to this file, SVG. Needs --url.",
        completion: .file(extensions: ["svg"]))
    var figure: String?

    @OptionGroup var result: OutputOptions

    func validate() throws {
        for (name, value) in [("vocabulary", vocabulary), ("timeout", timeout)]
        where !(1...1 << 24).contains(value) {
            throw ValidationError("--\(name) must be from 1 to \((1 << 24).grouped)")
        }
        guard (0...1_000).contains(warmUp) else {
            throw ValidationError("--warm-up must be from 0 to 1,000")
        }
        if let blocks, blocks < 1 { throw ValidationError("--blocks must be 1 or more") }
        for (name, value) in [("slo-ttft", sloTtft), ("slo-itl", sloItl)] {
            if let value, !(value > 0 && value.isFinite) {
                throw ValidationError("--\(name) must be above 0")
            }
        }
        if let url {
            guard LoadAddress(url) != nil else {
                throw ValidationError("--url must be as in http://127.0.0.1:8000, not \(url)")
            }
            guard measure.model == nil, measure.config == nil else {
                throw ValidationError("give --url or a model, not both")
            }
            guard blocks == nil, spill.spillMemory == 0 else {
                throw ValidationError("--blocks and --spill-memory are the server's own with --url")
            }
        } else {
            try measure.require()
            guard apiKey == nil, name == nil, sloTtft == nil, sloItl == nil, figure == nil else {
                throw ValidationError(
                    "--api-key, --name, --slo-ttft, --slo-itl and --figure need --url")
            }
        }
    }

    func run() throws {
        let arrivals = try arrival.arrivals(seed: seed)
        if let url, let address = LoadAddress(url) {
            try measureServer(address, arrivals)
        } else {
            try measureEngine(arrivals)
        }
    }

    private func measureServer(_ address: LoadAddress, _ arrivals: Arrivals) throws {
        var benchmark = HTTPBenchmark(address, arrivals)
        benchmark.key = apiKey
        benchmark.model = name
        (benchmark.vocabulary, benchmark.seed) = (vocabulary, seed)
        (benchmark.timeout, benchmark.warmUp) = (timeout, warmUp)
        let line = progressLine(arrivals)
        let observations = try benchmark.run { try line.update($0) }
        line.finish()
        let level = ServiceLevel(firstToken: sloTtft, interToken: sloItl)
        let report = LoadReport(arrivals, observations, level)
        if let failed = observations.first(where: { $0.failure != nil }) {
            StandardError.note(
                "\(report.requests - report.succeeded) of \(report.requests) requests failed; the first (\(failed.failure ?? "")): \(failed.message.prefix(300))"
            )
        }
        if let figure {
            let picture = LoadPicture(LoadTimes(observations), level).svg
            try Data(picture.utf8).write(to: URL(fileURLWithPath: figure), options: .atomic)
        }
        if result.json {
            try result.printJSON(report)
        } else {
            print(csv ? [report].csv : report.lines)
        }
    }

    private func measureEngine(_ arrivals: Arrivals) throws {
        let atOnce = min(arrival.concurrency, arrivals.requests.count)
        let load = ServeBenchmark.load(arrivals, concurrency: atOnce)
        var benchmark = ServeBenchmark(
            try measure.measured(load, context: load.tokens), arrivals, concurrency: atOnce)
        benchmark.seed = seed
        benchmark.blocks = blocks
        benchmark.spill = spill.bytes
        TorchRuntime.keepFreedMemory()
        let line = progressLine(arrivals)
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

    private func progressLine(_ arrivals: Arrivals) -> ProgressLine {
        ProgressLine(
            "bench serve", unit: "requests", total: arrivals.requests.count,
            isQuiet: result.quiet || result.json)
    }
}

extension BenchmarkRow {
    /// A line for each column: there is but one row.
    fileprivate var lines: String {
        zip(Self.columns, values).map { ($0.replacingOccurrences(of: "_", with: " "), $1) }.aligned
    }
}

extension LoadPicture {
    fileprivate init(_ times: LoadTimes, _ level: ServiceLevel) {
        self.init(panels: [
            .init(
                name: "time to the first token", values: times.firstToken, goal: level.firstToken),
            .init(name: "time between pieces of text", values: times.interToken),
            .init(
                name: "time per token, a request's mean", values: times.perToken,
                goal: level.interToken),
            .init(name: "time to the end", values: times.endToEnd),
        ])
    }
}
