import Synchronization

/// What the server counts and times, exported under vLLM's names, so that dashboards made for vLLM work.
package final class Metrics: Sendable {
    /// Why a request ended.
    package enum Outcome: String, Sendable, CaseIterable {
        case stop, length, abort, error
    }

    package enum Series: Int, Sendable, CaseIterable {
        case timeToFirstToken, interTokenLatency, endToEnd, queueTime, prefillTime, decodeTime,
            inferenceTime, promptTokens, generationTokens, longestAnswer, choices, maxTokens,
            iterationTokens

        var name: String {
            switch self {
            case .timeToFirstToken: "time_to_first_token_seconds"
            case .interTokenLatency: "inter_token_latency_seconds"
            case .endToEnd: "e2e_request_latency_seconds"
            case .queueTime: "request_queue_time_seconds"
            case .prefillTime: "request_prefill_time_seconds"
            case .decodeTime: "request_decode_time_seconds"
            case .inferenceTime: "request_inference_time_seconds"
            case .promptTokens: "request_prompt_tokens"
            case .generationTokens: "request_generation_tokens"
            case .longestAnswer: "request_max_num_generation_tokens"
            case .choices: "request_params_n"
            case .maxTokens: "request_params_max_tokens"
            case .iterationTokens: "iteration_tokens_total"
            }
        }

        var help: String {
            switch self {
            case .timeToFirstToken: "Time from a request's arrival to its first token."
            case .interTokenLatency: "Time between two pieces of an answer."
            case .endToEnd: "Time from a request's arrival to its end."
            case .queueTime: "Time that a request waits for its first step."
            case .prefillTime: "Time from the first step to the first token."
            case .decodeTime: "Time from the first token to the last."
            case .inferenceTime: "Time from the first step to the last token."
            case .promptTokens: "Tokens of a request's prompt."
            case .generationTokens: "Tokens of an answer."
            case .longestAnswer: "Tokens of the longest of a request's answers."
            case .choices: "Answers that a request asks for."
            case .maxTokens: "Tokens that a request allows an answer."
            case .iterationTokens: "Tokens of one step of the engine."
            }
        }

        var bounds: [Double] {
            switch self {
            case .timeToFirstToken:
                [
                    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5,
                    7.5, 10, 20, 40, 80, 160, 640, 2560,
                ]
            case .interTokenLatency:
                [
                    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5,
                    10, 20, 40, 80,
                ]
            case .endToEnd, .queueTime, .prefillTime, .decodeTime, .inferenceTime:
                [
                    0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480,
                    960, 1920, 7680,
                ]
            case .choices: [1, 2, 5, 10, 20]
            case .promptTokens, .generationTokens, .longestAnswer, .maxTokens, .iterationTokens:
                (0...17).map { Double(1 << $0) }
            }
        }
    }

    private struct State {
        var series = Series.allCases.map { Histogram($0.bounds) }
        var outcomes: [Outcome: Int] = [:]
        var refusals: [Int: Int] = [:]
        var promptTokens = 0
        var generationTokens = 0
    }

    private let state = Mutex(State())
    let labels: String

    package init(model: String) {
        let name = model.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            .replacing("\n", with: "\\n")
        labels = "model_name=\"\(name)\",engine=\"0\""
    }

    package func observe(_ series: Series, _ value: Double) {
        state.withLock { $0.series[series.rawValue].observe(value) }
    }

    package func add(promptTokens: Int) { state.withLock { $0.promptTokens += promptTokens } }

    package func add(generationTokens: Int) {
        state.withLock { $0.generationTokens += generationTokens }
    }

    package func count(_ outcome: Outcome) {
        state.withLock { $0.outcomes[outcome, default: 0] += 1 }
    }

    /// A request that was not accepted.
    package func refuse(_ status: Int) { state.withLock { $0.refusals[status, default: 0] += 1 } }

    package func total(_ outcome: Outcome) -> Int { state.withLock { $0.outcomes[outcome] ?? 0 } }

    /// Prometheus' text format.
    package func exposition(
        _ load: EngineLoad, exchange: ModelExchange.State? = nil, shadow: Shadow.Counts? = nil
    ) -> String {
        let state = state.withLock { $0 }
        var text = ""
        func metric(_ name: String, _ kind: String, _ help: String, _ values: [(String, Double)]) {
            text += "# HELP vllm:\(name) \(help)\n# TYPE vllm:\(name) \(kind)\n"
            for (extra, value) in values {
                text += "vllm:\(name){\(labels)\(extra)} \(value)\n"
            }
        }
        func gauge(_ name: String, _ help: String, _ value: Double) {
            metric(name, "gauge", help, [("", value)])
        }
        func counter(_ name: String, _ help: String, _ value: Int) {
            metric(name, "counter", help, [("", Double(value))])
        }
        gauge("num_requests_running", "Answers in the engine's batch.", Double(load.running))
        gauge("num_requests_waiting", "Answers that wait for it.", Double(load.waiting))
        gauge(
            "kv_cache_usage_perc", "Share of the cache's blocks that are in use; 1 is all.",
            Double(load.blocksInUse) / Double(max(1, load.blocks)))
        metric(
            "cache_config_info", "gauge", "Blocks of the cache.",
            [(",num_gpu_blocks=\"\(load.blocks)\"", 1)])
        counter("prompt_tokens_total", "Tokens of prompts.", state.promptTokens)
        counter("generation_tokens_total", "Tokens of answers.", state.generationTokens)
        counter("prefix_cache_queries_total", "Prompt tokens looked for.", load.prefixQueries)
        counter("prefix_cache_hits_total", "Prompt tokens found.", load.prefixHits)
        counter("num_preemptions_total", "Answers that gave their blocks back.", load.preemptions)
        if load.drafts > 0 {
            counter("spec_decode_num_drafts_total", "Guesses ahead.", load.drafts)
            counter(
                "spec_decode_num_draft_tokens_total", "Tokens guessed ahead.", load.draftedTokens)
            counter(
                "spec_decode_num_accepted_tokens_total", "Of those, tokens that were right.",
                load.acceptedTokens)
            metric(
                "spec_decode_num_accepted_tokens_per_pos_total", "counter",
                "The same by position in the guess.",
                load.acceptedByPosition.enumerated().map {
                    (",position=\"\($0.offset)\"", Double($0.element))
                })
        }
        metric(
            "request_success_total", "counter", "Answers by how they ended.",
            Outcome.allCases.map {
                (",finished_reason=\"\($0.rawValue)\"", Double(state.outcomes[$0] ?? 0))
            })
        metric(
            "request_refused_total", "counter", "Requests that were refused, by status.",
            state.refusals.sorted { $0.key < $1.key }.map {
                (",status=\"\($0.key)\"", Double($0.value))
            })
        if let exchange { text += exposition(exchange) }
        if let shadow { text += exposition(shadow) }
        for series in Series.allCases {
            text += "# HELP vllm:\(series.name) \(series.help)\n"
            text += "# TYPE vllm:\(series.name) histogram\n"
            state.series[series.rawValue].write("vllm:\(series.name)", labels: labels, to: &text)
        }
        return text
    }
}
