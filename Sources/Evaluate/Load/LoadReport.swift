/// What a server promises: a request counts as good where both are held.
package struct ServiceLevel: Sendable, Equatable {
    /// Milliseconds to the first token at most.
    package var firstToken: Double?
    /// Milliseconds per token behind the first, the mean of a request, at most.
    package var interToken: Double?

    package init(firstToken: Double? = nil, interToken: Double? = nil) {
        (self.firstToken, self.interToken) = (firstToken, interToken)
    }
}

/// What became of one request, seen from the client.
package struct LoadObservation: Sendable {
    /// Nanoseconds, on a clock that does not go back.
    package var sent: UInt64 = 0
    package var end: UInt64 = 0
    /// Of each piece of text.
    package var pieces: [UInt64] = []
    /// As the server counted them.
    package var promptTokens = 0
    package var outputTokens = 0
    /// Why it failed: a status, or "connection", "timeout", "stream"; `nil` where all of it came.
    package var failure: String?
    /// What the server said of it.
    package var message = ""

    package init() {}

    /// Milliseconds to the first piece.
    var firstToken: Double { pieces.first.map { Double($0 - sent) / 1e6 } ?? 0 }
    var endToEnd: Double { Double(end - sent) / 1e6 }
    /// Milliseconds from piece to piece.
    var gaps: [Double] { zip(pieces, pieces.dropFirst()).map { Double($1 - $0) / 1e6 } }
    /// Milliseconds per token behind the first; `nil` where there is but one.
    var perToken: Double? {
        guard outputTokens > 1, let first = pieces.first, let last = pieces.last else { return nil }
        return Double(last - first) / 1e6 / Double(outputTokens - 1)
    }

    func meets(_ level: ServiceLevel) -> Bool {
        failure == nil && firstToken <= level.firstToken ?? .infinity
            && perToken ?? 0 <= level.interToken ?? .infinity
    }
}

/// Times of all requests that succeeded, in milliseconds, for pictures.
package struct LoadTimes: Sendable {
    package let firstToken: [Double]
    package let perToken: [Double]
    package let interToken: [Double]
    package let endToEnd: [Double]

    package init(_ observations: [LoadObservation]) {
        let good = observations.filter { $0.failure == nil && !$0.pieces.isEmpty }
        firstToken = good.map(\.firstToken)
        perToken = good.compactMap(\.perToken)
        interToken = good.flatMap(\.gaps)
        endToEnd = good.map(\.endToEnd)
    }
}

/// What clients saw of a server under a load.
package struct LoadReport: BenchmarkRow {
    package let pace: String
    package let requests: Int
    /// Requests at once, of a closed loop.
    package let concurrency: Int?
    /// Requests per second that were to come, of an open loop.
    package let rate: Double?
    /// Means of what was asked for.
    package let promptTokens: Double
    package let outputTokens: Double
    package let succeeded: Int
    /// By status, or "connection", "timeout", "stream".
    package let failures: [String: Int]
    package let seconds: Double
    /// Of requests that succeeded.
    package let requestsPerSecond: Double
    package let outputTokensPerSecond: Double
    /// Milliseconds as the 50th, 90th and 99th percentile.
    package let firstToken: Percentiles
    package let perToken: Percentiles
    package let interToken: Percentiles
    package let endToEnd: Percentiles
    package let goalFirstToken: Double?
    package let goalInterToken: Double?
    /// Share of all requests that met the goals, and how many per second did.
    package let goodShare: Double
    package let goodPerSecond: Double

    package init(_ arrivals: Arrivals, _ observations: [LoadObservation], _ level: ServiceLevel) {
        let times = LoadTimes(observations)
        let good = observations.filter { $0.failure == nil }
        let met = observations.filter { $0.meets(level) }
        let (begin, end) = (
            observations.map(\.sent).min() ?? 0, observations.map(\.end).max() ?? 0
        )
        seconds = Double(end - begin) / 1e9
        let span = max(seconds, 1e-9)
        switch arrivals.pace {
        case .closed(let count): (pace, concurrency, rate) = ("closed", count, nil)
        case .poisson(let rate): (pace, concurrency, self.rate) = ("poisson", nil, rate)
        case .trace:
            let length = arrivals.requests.last?.time ?? 0
            (pace, concurrency) = ("trace", nil)
            rate = length > 0 ? Double(arrivals.requests.count - 1) / length : nil
        }
        requests = observations.count
        (promptTokens, outputTokens) = (arrivals.meanPromptTokens, arrivals.meanOutputTokens)
        succeeded = good.count
        failures = observations.compactMap(\.failure).reduce(into: [:]) { $0[$1, default: 0] += 1 }
        requestsPerSecond = Double(good.count) / span
        outputTokensPerSecond = Double(good.reduce(0) { $0 + $1.outputTokens }) / span
        firstToken = Percentiles(times.firstToken)
        perToken = Percentiles(times.perToken)
        interToken = Percentiles(times.interToken)
        endToEnd = Percentiles(times.endToEnd)
        (goalFirstToken, goalInterToken) = (level.firstToken, level.interToken)
        goodShare = Double(met.count) / Double(max(1, observations.count))
        goodPerSecond = Double(met.count) / span
    }

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case pace, requests, concurrency, rate
        case promptTokens = "prompt_tokens"
        case outputTokens = "output_tokens"
        case succeeded, failures, seconds
        case requestsPerSecond = "requests_per_second"
        case outputTokensPerSecond = "output_tokens_per_second"
        case firstToken = "ttft_ms"
        case perToken = "tpot_ms"
        case interToken = "itl_ms"
        case endToEnd = "e2e_ms"
        case goalFirstToken = "slo_ttft_ms"
        case goalInterToken = "slo_itl_ms"
        case goodShare = "good_share"
        case goodPerSecond = "goodput_requests_per_second"
    }

    package enum Column: String, CodingKey, CaseIterable {
        case pace, requests, concurrency, rate, prompt_tokens, output_tokens, succeeded, failures,
            seconds, requests_per_second, output_tokens_per_second, ttft_p50_ms, ttft_p90_ms,
            ttft_p99_ms, tpot_p50_ms, tpot_p90_ms, tpot_p99_ms, itl_p50_ms, itl_p90_ms, itl_p99_ms,
            e2e_p50_ms, e2e_p90_ms, e2e_p99_ms, slo_ttft_ms, slo_itl_ms, good_share,
            goodput_requests_per_second
    }

    package func text(of column: Column) -> String {
        func milliseconds(_ value: Double) -> String { String(format: "%.3f", value) }
        func plain(_ value: Double?) -> String { value.map { String(format: "%g", $0) } ?? "" }
        return switch column {
        case .pace: pace
        case .requests: "\(requests)"
        case .concurrency: concurrency.map { "\($0)" } ?? ""
        case .rate: rate.map { String(format: "%.3f", $0) } ?? ""
        case .prompt_tokens: String(format: "%.1f", promptTokens)
        case .output_tokens: String(format: "%.1f", outputTokens)
        case .succeeded: "\(succeeded)"
        case .failures:
            failures.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }
                .joined(separator: " ")
        case .seconds: String(format: "%.3f", seconds)
        case .requests_per_second: String(format: "%.3f", requestsPerSecond)
        case .output_tokens_per_second: String(format: "%.1f", outputTokensPerSecond)
        case .ttft_p50_ms: milliseconds(firstToken.p50)
        case .ttft_p90_ms: milliseconds(firstToken.p90)
        case .ttft_p99_ms: milliseconds(firstToken.p99)
        case .tpot_p50_ms: milliseconds(perToken.p50)
        case .tpot_p90_ms: milliseconds(perToken.p90)
        case .tpot_p99_ms: milliseconds(perToken.p99)
        case .itl_p50_ms: milliseconds(interToken.p50)
        case .itl_p90_ms: milliseconds(interToken.p90)
        case .itl_p99_ms: milliseconds(interToken.p99)
        case .e2e_p50_ms: milliseconds(endToEnd.p50)
        case .e2e_p90_ms: milliseconds(endToEnd.p90)
        case .e2e_p99_ms: milliseconds(endToEnd.p99)
        case .slo_ttft_ms: plain(goalFirstToken)
        case .slo_itl_ms: plain(goalInterToken)
        case .good_share: String(format: "%.4f", goodShare)
        case .goodput_requests_per_second: String(format: "%.3f", goodPerSecond)
        }
    }
}
