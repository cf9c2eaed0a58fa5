import ArgumentParser
import Evaluate

/// When the requests of a load come, and how long each is.
struct ArrivalOptions: ParsableArguments {
    @Option(help: "Requests in all. Default: 32, or all of --trace.")
    var requests: Int?

    @Option(help: "Requests at once.")
    var concurrency = 8

    @Option(help: "Requests per second that come by chance, however many are at once.")
    var rate: Double?

    @Option(
        help:
            "Requests as recorded: a file of lines TIMESTAMP,ContextTokens,GeneratedTokens. --prompt-tokens and --output-tokens cut what is longer.",
        completion: .file(extensions: ["csv"]))
    var trace: String?

    @Option(help: "How many times as fast as recorded --trace comes.")
    var traceSpeed = 1.0

    @Option(help: "Tokens of each prompt. Default: 512.")
    var promptTokens: Int?

    @Option(help: "Tokens of each answer. Default: 128.")
    var outputTokens: Int?

    func validate() throws {
        for (name, value) in [
            ("requests", requests ?? 1), ("concurrency", concurrency),
            ("prompt-tokens", promptTokens ?? 1), ("output-tokens", outputTokens ?? 1),
        ] where !(1...1 << 24).contains(value) {
            throw ValidationError("--\(name) must be from 1 to \((1 << 24).grouped)")
        }
        if rate != nil, trace != nil { throw ValidationError("give --rate or --trace, not both") }
        for (name, value) in [("rate", rate ?? 1), ("trace-speed", traceSpeed)]
        where !(value >= 1e-3 && value <= 1e6) {
            throw ValidationError("--\(name) must be from 0.001 to 1,000,000")
        }
    }

    func arrivals(seed: UInt64) throws -> Arrivals {
        if let trace {
            return try Arrivals(
                trace: trace, limit: requests, speed: traceSpeed, promptTokens: promptTokens,
                outputTokens: outputTokens)
        }
        let (count, prompt, answer) = (requests ?? 32, promptTokens ?? 512, outputTokens ?? 128)
        if let rate {
            return Arrivals(
                rate: rate, count: count, promptTokens: prompt, outputTokens: answer, seed: seed)
        }
        return Arrivals(
            closed: concurrency, count: count, promptTokens: prompt, outputTokens: answer)
    }
}
