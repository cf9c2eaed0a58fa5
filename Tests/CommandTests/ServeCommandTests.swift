import Foundation
import FoundationNetworking
import Testing

/// `minima serve` as a user runs it.
private struct Served {
    let running: Program.Running
    let client: Client

    /// - Parameter model: the arguments that name it.
    init(
        _ arguments: [String] = [], model: [String] = [Program.tiny], in scratch: Scratch
    ) throws {
        let log = scratch.path("serve.json")
        try Data().write(to: URL(fileURLWithPath: log))
        running = try Program.Running(
            "/bin/bash",
            [
                "-c",
                "exec \"$0\" serve \"${@:2}\" --port 0 --json --device cpu --cache-tokens 20000 >\"$1\"",
                Program.path, log,
            ] + model + arguments, in: scratch)
        for _ in 0..<600 {
            let text = try String(contentsOfFile: log, encoding: .utf8)
            if text.hasSuffix("\n"),
                let line = try JSONSerialization.jsonObject(with: Data(text.utf8))
                    as? [String: String], let url = line["url"]
            {
                client = Client(url: url)
                return
            }
            guard running.process.isRunning else { break }
            Thread.sleep(forTimeInterval: 0.05)
        }
        let result = try running.finish()
        throw NotServed(errors: result.errors)
    }

    struct NotServed: Error { let errors: String }
}

/// Asks a server.
private struct Client: Sendable {
    let url: String
    var key: String?

    private func request(_ path: String) throws -> URLRequest {
        var request = URLRequest(url: try #require(URL(string: url + path)))
        if let key { request.setValue("Bearer \(key)", forHTTPHeaderField: "Authorization") }
        return request
    }

    func post(_ path: String, _ fields: [String: Any]) async throws -> (Int, [String: Any]) {
        var request = try request(path)
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.httpBody = try JSONSerialization.data(withJSONObject: fields)
        let (data, response) = try await URLSession.shared.data(for: request)
        let object = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        return ((response as? HTTPURLResponse)?.statusCode ?? 0, try #require(object))
    }

    func text(of prompt: String, tokens: Int, model: String = "tiny") async throws -> String {
        let (status, answer) = try await post(
            "/v1/completions",
            ["prompt": prompt, "max_tokens": tokens, "temperature": 0, "model": model])
        #expect(status == 200)
        let choices = try #require(answer["choices"] as? [[String: Any]])
        return try #require(choices.first?["text"] as? String)
    }

    func metric(_ name: String) async throws -> Double {
        try #require(try await metrics(name).first)
    }

    /// Of all labels.
    func metrics(_ name: String) async throws -> [Double] {
        let (data, _) = try await URLSession.shared.data(for: request("/metrics"))
        let full = name.contains(":") ? name : "vllm:\(name)"
        return String(decoding: data, as: UTF8.self).split(separator: "\n")
            .filter { $0.hasPrefix("\(full){") }
            .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }
    }
}

@Suite("minima serve", .serialized)
struct ServeCommandTests {
    private func withServer(
        _ arguments: [String] = [], model: [String] = [Program.tiny], endsItself: Bool = false,
        _ body: (Client, pid_t) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("minima-tests-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let served = try Served(arguments, model: model, in: Scratch(folder: folder))
        do {
            try await body(served.client, served.running.process.processIdentifier)
        } catch {
            served.running.process.terminate()
            _ = try served.running.finish()
            throw error
        }
        if !endsItself { served.running.process.terminate() }
        let result = try served.running.finish()
        #expect(result.status == 0, "SIGTERM drains: \(result.errors)")
    }

    @Test("greedy text over HTTP is that of `minima generate`, alone and beside others")
    func greedyText() async throws {
        let prompts = [
            "The history of the lighthouse", "Water is", "She opened the door and",
            "In the year 1850 a",
        ]
        var expected: [String] = []
        for prompt in prompts {
            let result = try Program.run(
                "generate", Program.tiny, prompt, "--max-tokens", "40", "--json", "--quiet",
                "--device", "cpu")
            expected.append(try #require(try result.json()["text"] as? String))
        }
        try await withServer { served, _ in
            for (prompt, text) in zip(prompts, expected) {
                let alone = try await served.text(of: prompt, tokens: 40)
                #expect(alone == text)
            }
            // Others that sample, at another length each.
            let texts = try await withThrowingTaskGroup(of: (Int, String).self) { group in
                for number in 0..<50 {
                    group.addTask {
                        let (status, _) = try await served.post(
                            "/v1/completions",
                            [
                                "prompt": "Number \(number)", "max_tokens": 10 + number / 2,
                                "seed": number, "presence_penalty": 0.5,
                            ])
                        #expect(status == 200)
                        return (-1, "")
                    }
                }
                for (index, prompt) in prompts.enumerated() {
                    group.addTask { (index, try await served.text(of: prompt, tokens: 40)) }
                }
                var texts = Array(repeating: "", count: prompts.count)
                for try await (index, text) in group where index >= 0 { texts[index] = text }
                return texts
            }
            #expect(texts == expected)
            // Everything is given back.
            var usage = 1.0
            for _ in 0..<100 where usage > 0 {
                usage = try await served.metric("kv_cache_usage_perc")
                if usage > 0 { try await Task.sleep(for: .milliseconds(20)) }
            }
            #expect(usage == 0)
        }
    }

    @Test(
        "what is guessed ahead changes no text, greedy or drawn, and is counted",
        arguments: [
            ["--draft", Program.tiny + "-draft", "--draft-length", "4"],
            ["--speculate", "ngram"],
        ])
    func guessedAhead(_ options: [String]) async throws {
        let prompt = "The history of the lighthouse"
        func expected(_ sampling: String...) throws -> String {
            let result = try Program.run(
                ["generate", Program.tiny, prompt, "--max-tokens", "60", "--json", "--quiet"]
                    + ["--device", "cpu"] + sampling)
            return try #require(try result.json()["text"] as? String)
        }
        let greedy = try expected()
        let drawn = try expected("--temperature", "0.8", "--seed", "11")
        try await withServer(options) { served, _ in
            func answer(_ fields: [String: Any]) async throws -> String {
                let common: [String: Any] = ["prompt": prompt, "max_tokens": 60]
                let (status, answer) = try await served.post(
                    "/v1/completions", common.merging(fields) { $1 })
                #expect(status == 200)
                let choices = try #require(answer["choices"] as? [[String: Any]])
                return try #require(choices.first?["text"] as? String)
            }
            #expect(try await answer(["temperature": 0]) == greedy)
            #expect(try await answer(["temperature": 0.8, "seed": 11]) == drawn)
            // Both again, beside others.
            async let first = answer(["temperature": 0])
            async let second = answer(["temperature": 0.8, "seed": 11])
            async let third = answer(["temperature": 1, "seed": 5, "logprobs": 2, "echo": true])
            #expect(try await first == greedy)
            #expect(try await second == drawn)
            #expect(try await third.hasPrefix(prompt))
            let drafts = try await served.metric("spec_decode_num_drafts_total")
            let drafted = try await served.metric("spec_decode_num_draft_tokens_total")
            let accepted = try await served.metric("spec_decode_num_accepted_tokens_total")
            let places = try await served.metrics("spec_decode_num_accepted_tokens_per_pos_total")
            #expect(drafts > 0 && drafted >= drafts && accepted > 0 && accepted <= drafted)
            #expect(places.reduce(0, +) == accepted && places == places.sorted(by: >))
        }
    }

    @Test("log-probabilities, penalties and biases reach the engine")
    func sampling() async throws {
        try await withServer { served, _ in
            let (status, answer) = try await served.post(
                "/v1/completions",
                [
                    "prompt": "The history of", "max_tokens": 4, "temperature": 0, "logprobs": 2,
                ])
            #expect(status == 200)
            let choice = try #require((answer["choices"] as? [[String: Any]])?.first)
            let logprobs = try #require(choice["logprobs"] as? [String: Any])
            let chosen = try #require(logprobs["token_logprobs"] as? [Double])
            let top = try #require(logprobs["top_logprobs"] as? [[String: Double]])
            #expect(chosen.count == 4)
            // A greedy token is the likeliest.
            for (value, others) in zip(chosen, top) {
                #expect(value <= 0 && others.values.max() == value)
            }
            #expect((logprobs["tokens"] as? [String])?.joined() == choice["text"] as? String)
            // A token that is not allowed does not come; one that is wished for does.
            let (_, forced) = try await served.post(
                "/v1/completions",
                [
                    "prompt": "The history of", "max_tokens": 3, "temperature": 0,
                    "logit_bias": ["1000": 100],
                ])
            let (_, spelled) = try await served.post("/detokenize", ["tokens": [1000, 1000, 1000]])
            let text = (forced["choices"] as? [[String: Any]])?.first?["text"] as? String
            #expect(text == spelled["prompt"] as? String)
        }
    }

    @Test("a response format holds the answer to JSON, whatever the model would say")
    func responseFormats() async throws {
        let schema: [String: Any] = [
            "type": "object", "additionalProperties": false, "required": ["name", "years", "kind"],
            "properties": [
                "name": ["type": "string", "maxLength": 12],
                "years": [
                    "type": "array", "maxItems": 3,
                    "items": ["type": "integer", "minimum": 0, "maximum": 2_100],
                ],
                "kind": ["enum": ["lighthouse", "ship"]],
            ],
        ]
        let format: [String: Any] = [
            "type": "json_schema", "json_schema": ["name": "x", "schema": schema],
        ]
        let message = ["role": "user", "content": "Tell me about the old lighthouse."]
        try await withServer { served, _ in
            for seed in 1...3 {
                let (status, answer) = try await served.post(
                    "/v1/chat/completions",
                    [
                        "messages": [message], "response_format": format, "seed": seed,
                        "max_tokens": 1_000,
                    ])
                #expect(status == 200)
                let choice = try #require((answer["choices"] as? [[String: Any]])?.first)
                #expect(choice["finish_reason"] as? String == "stop")
                let text = try #require(
                    (choice["message"] as? [String: Any])?["content"] as? String)
                let value =
                    try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
                let object = try #require(value)
                #expect(object.keys.sorted() == ["kind", "name", "years"])
                #expect((object["name"] as? String).map { $0.unicodeScalars.count <= 12 } == true)
                #expect((object["years"] as? [Int]).map { $0.count <= 3 } == true)
                #expect(["lighthouse", "ship"].contains(object["kind"] as? String))
            }
            let (status, refusal) = try await served.post(
                "/v1/chat/completions",
                [
                    "messages": [message],
                    "response_format": [
                        "type": "json_schema",
                        "json_schema": ["name": "x", "schema": ["not": [:] as [String: Any]]],
                    ],
                ])
            #expect(status == 400)
            let error = try #require(refusal["error"] as? [String: Any])
            #expect((error["message"] as? String)?.contains("the keyword 'not'") == true)
        }
    }

    @Test("random weights of a shape are served, whatever the tokenizer knows of their ids")
    func randomWeights() async throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("minima-tests-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let scratch = Scratch(folder: folder)
        let tiny = try Data(contentsOf: URL(fileURLWithPath: "\(Program.tiny)/config.json"))
        var shape = try #require(try JSONSerialization.jsonObject(with: tiny) as? [String: Any])
        shape["vocab_size"] = 9_000
        let wide = scratch.path("wide.json")
        try JSONSerialization.data(withJSONObject: shape).write(to: URL(fileURLWithPath: wide))
        let none = try Program.run(
            "serve", "--config", wide, "--dummy", "--port", "0", "--device", "cpu")
        #expect(none.status == 1 && none.errors.contains("pass --tokenizer FOLDER"))
        shape["vocab_size"] = 4_000
        let narrow = scratch.path("narrow.json")
        try JSONSerialization.data(withJSONObject: shape).write(to: URL(fileURLWithPath: narrow))
        let more = try Program.run(
            "serve", "--config", narrow, "--dummy", "--tokenizer", Program.tiny, "--port", "0",
            "--device", "cpu")
        #expect(more.status == 1 && more.errors.contains("has 4,096 ids and the model 4,000"))
        let model = [
            "--config", wide, "--dummy", "--keep", "0.6", "--weights", "int8", "--tokenizer",
            Program.tiny,
        ]
        try await withServer(model: model) { served, _ in
            let (status, answer) = try await served.post(
                "/v1/completions",
                [
                    "model": "wide", "prompt": [8_999, 0, 5], "max_tokens": 50, "temperature": 0,
                    "ignore_eos": true, "logprobs": 0,
                ])
            #expect(status == 200)
            let usage = try #require(answer["usage"] as? [String: Int])
            #expect(usage["completion_tokens"] == 50 && usage["prompt_tokens"] == 3)
            let choice = try #require((answer["choices"] as? [[String: Any]])?.first)
            #expect(choice["finish_reason"] as? String == "length")
            #expect((choice["text"] as? String)?.isEmpty == false)
            let (refused, _) = try await served.post(
                "/v1/completions", ["prompt": [9_000], "max_tokens": 1])
            #expect(refused == 400)
        }
    }

    @Test("bench serve over HTTP counts what succeeds and what is refused, and draws it")
    func load() async throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("minima-tests-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (keys, figure) = ("\(folder)/keys", "\(folder)/load.svg")
        try Data("a-key-of-tests\n".utf8).write(to: URL(fileURLWithPath: keys))
        let limits = ["--max-concurrency", "2", "--max-queue", "1", "--api-key-file", keys]
        try await withServer(limits) { served, _ in
            func bench(_ arguments: String...) throws -> Program.Result {
                try Program.run(
                    ["bench", "serve", "--url", served.url, "--quiet"] + arguments)
            }
            let whole = try bench(
                "--api-key", "a-key-of-tests", "--requests", "9", "--concurrency", "3",
                "--prompt-tokens", "70", "--output-tokens", "12", "--slo-ttft", "60000", "--json",
                "--figure", figure)
            #expect(whole.status == 0, "\(whole.errors)")
            let report = try whole.json()
            #expect(report["succeeded"] as? Int == 9 && report["good_share"] as? Double == 1)
            let tokens =
                (report["output_tokens_per_second"] as? Double ?? 0)
                * (report["seconds"] as? Double ?? 0)
            #expect(abs(tokens - 108) < 1e-6)
            let first = try #require(report["ttft_ms"] as? [String: Double])
            #expect((first["p50"] ?? 0) > 0 && first["p50"] ?? 0 <= first["p99"] ?? 0)
            let picture = try String(contentsOfFile: figure, encoding: .utf8)
            #expect(picture.hasPrefix("<svg") && picture.contains("share of 9"))
            // More than the server takes at once, by chance and all at the same time nearly.
            let refused = try bench(
                "--api-key", "a-key-of-tests", "--requests", "12", "--rate", "1000",
                "--prompt-tokens", "70", "--output-tokens", "200", "--csv")
            #expect(refused.status == 0)
            let rows = refused.output.split(separator: "\n").map {
                $0.split(separator: ",", omittingEmptySubsequences: false)
            }
            #expect(rows.count == 2 && rows[0].count == rows[1].count)
            let cells = Dictionary(uniqueKeysWithValues: zip(rows[0], rows[1]))
            let failures = try #require(cells["failures"])
            let succeeded = try #require(cells["succeeded"].flatMap { Int($0) })
            #expect(failures == "429:\(12 - succeeded)" && (3..<12).contains(succeeded))
            #expect(refused.errors.contains("queue_full"))
            let unknown = try bench("--requests", "1")
            #expect(unknown.status == 1 && unknown.errors.contains("(401)"))
        }
        let nobody = try Program.run(
            "bench", "serve", "--url", "http://127.0.0.1:1", "--requests", "1")
        #expect(nobody.status == 1 && nobody.errors.contains("(connection)"))
    }

    @Test("a fallback answers when it is told to, and a shadow compares without a client's notice")
    func otherModels() async throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("minima-tests-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (keys, small) = ("\(folder)/keys", "\(folder)/small")
        try Data("a-key-of-tests\n".utf8).write(to: URL(fileURLWithPath: keys))
        let made = try Program.run(
            "compress", Program.tiny, "--format", "low-rank", "--keep", "0.6", "--unweighted",
            "--device", "cpu", "--output", small, "--quiet")
        #expect(made.status == 0, "\(made.errors)")
        func greedy(_ model: String) throws -> String {
            let result = try Program.run(
                "generate", model, "The history of the lighthouse", "--max-tokens", "30", "--json",
                "--quiet", "--device", "cpu")
            return try #require(try result.json()["text"] as? String)
        }
        let texts = try (compressed: greedy(small), dense: greedy(Program.tiny))
        #expect(texts.compressed != texts.dense)
        let open = try Program.run(
            "serve", small, "--fallback-dense", Program.tiny, "--port", "0", "--device", "cpu")
        #expect(open.status == 2 && open.errors.contains("needs --api-key-file"))
        let others = [
            "--fallback-dense", Program.tiny, "--api-key-file", keys, "--shadow", Program.tiny,
            "--shadow-fraction", "1",
        ]
        try await withServer(others, model: [small]) { served, _ in
            var served = served
            let (refused, _) = try await served.post("/admin/model", ["use": "dense"])
            #expect(refused == 401)
            served.key = "a-key-of-tests"
            let prompt = "The history of the lighthouse"
            #expect(
                try await served.text(of: prompt, tokens: 30, model: "small") == texts.compressed)
            for _ in 0..<200 where try await served.metric("minima:shadow_tokens_total") < 30 {
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(try await served.metric("minima:shadow_tokens_total") == 30)
            let agreement = try await served.metric("minima:shadow_agreement")
            let divergence = try await served.metric("minima:shadow_kl_mean")
            #expect(agreement < 1 && divergence > 0.01 && divergence < 10)
            let (changed, state) = try await served.post("/admin/model", ["use": "dense"])
            #expect(changed == 200 && state["active"] as? String == "dense")
            #expect(try await served.text(of: prompt, tokens: 30, model: "small") == texts.dense)
            // The dense model's own answers are not compared with itself.
            #expect(try await served.metric("minima:shadow_tokens_total") == 30)
            let (back, _) = try await served.post("/admin/model", ["use": "compressed"])
            #expect(back == 200)
            #expect(
                try await served.text(of: prompt, tokens: 30, model: "small") == texts.compressed)
        }
    }

    /// A copy of the shipped model whose template says how it writes calls.
    private func modelWithTools(in folder: String) throws -> String {
        let model = try Scratch(folder: folder).copyOfTiny()
        let template =
            "{%- for tool in tools %}{{ tool | tojson }}\n{%- endfor %}{# <tool_call> #}{%- for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{%- endfor %}<|im_start|>assistant\n{# </tool_call> #}"
        try Data(template.utf8).write(to: URL(fileURLWithPath: "\(model)/chat_template.jinja"))
        return model
    }

    private static let python = Program.root + "/.deps/python/bin/python"

    @Test(
        "log-probabilities of prompts over HTTP are those of transformers",
        .enabled(
            if: FileManager.default.fileExists(atPath: python)
                || ProcessInfo.processInfo.environment["MINIMA_REQUIRE_REFERENCE"] == "1",
            "make reference installs it"))
    func promptLogprobs() async throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("minima-tests-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await withServer { served, _ in
            let result = try Program.Running(
                Self.python, ["Tests/Reference/scores_client.py", served.url, Program.tiny],
                in: Scratch(folder: folder)
            ).finish()
            #expect(result.status == 0, "\(result.errors)")
            let count = result.output.split(separator: " ").first.flatMap { Int($0) }
            #expect((count ?? 0) > 2_000, "\(result.output)")
        }
    }

    @Test(
        "the official client runs every endpoint",
        .enabled(
            if: FileManager.default.fileExists(atPath: python)
                || ProcessInfo.processInfo.environment["MINIMA_REQUIRE_REFERENCE"] == "1",
            "make reference installs it"))
    func officialClient() async throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("minima-tests-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let keys = "\(folder)/keys"
        try Data("a-key-of-tests\n".utf8).write(to: URL(fileURLWithPath: keys))
        try await withServer(["--api-key-file", keys], model: [modelWithTools(in: folder)]) {
            served, _ in
            let result = try Program.Running(
                Self.python,
                ["Tests/Reference/openai_client.py", served.url, "a-key-of-tests"],
                in: Scratch(folder: folder)
            ).finish()
            #expect(result.status == 0, "\(result.errors)")
            let checks = result.output.split(separator: " ").first.flatMap { Int($0) }
            #expect(checks ?? 0 >= 30, "\(result.output)")
        }
    }

    @Test("a tool that must be called is called, with arguments of its schema")
    func toolCalls() async throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("minima-tests-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let model = try modelWithTools(in: folder)
        func tool(_ name: String, _ values: [String]) -> [String: Any] {
            [
                "type": "function",
                "function": [
                    "name": name,
                    "parameters": [
                        "type": "object", "additionalProperties": false, "required": ["place"],
                        "properties": ["place": ["$ref": "#/$defs/place"]],
                        "$defs": ["place": ["enum": values]],
                    ] as [String: Any],
                ] as [String: Any],
            ]
        }
        let tools = [tool("weather", ["Oslo", "Rome"]), tool("tide", ["Brest"])]
        let choices: [Any] = [
            "required", ["type": "function", "function": ["name": "tide"]] as [String: Any],
        ]
        try await withServer(model: [model]) { served, _ in
            for (number, choice) in choices.enumerated() {
                let (status, answer) = try await served.post(
                    "/v1/chat/completions",
                    [
                        "messages": [["role": "user", "content": "How is the sea?"]],
                        "tools": tools, "tool_choice": choice, "max_tokens": 400, "seed": number,
                    ])
                #expect(status == 200, "\(answer)")
                let first = try #require((answer["choices"] as? [[String: Any]])?.first)
                #expect(first["finish_reason"] as? String == "tool_calls")
                let message = try #require(first["message"] as? [String: Any])
                #expect(message["content"] is NSNull)
                let calls = try #require(message["tool_calls"] as? [[String: Any]])
                let function = try #require(calls.first?["function"] as? [String: String])
                let arguments = try JSONSerialization.jsonObject(
                    with: Data((function["arguments"] ?? "").utf8))
                let place = try #require((arguments as? [String: String])?["place"])
                let places = function["name"] == "tide" ? ["Brest"] : ["Oslo", "Rome"]
                #expect(calls.count == 1 && places.contains(place))
                #expect(number == 0 || function["name"] == "tide")
            }
        }
    }

    @Test("SIGTERM lets requests finish")
    func signals() async throws {
        try await withServer(endsItself: true) { served, process in
            async let answer = served.post(
                "/v1/completions",
                ["prompt": "a", "max_tokens": 400, "temperature": 0, "ignore_eos": true])
            try await Task.sleep(for: .milliseconds(300))
            kill(process, SIGTERM)
            let (status, object) = try await answer
            #expect(status == 200)
            let usage = try #require(object["usage"] as? [String: Int])
            #expect(usage["completion_tokens"] == 400)
        }
    }

    @Test("the second SIGTERM ends at once")
    func secondSignal() async throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("minima-tests-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let served = try Served(in: Scratch(folder: folder))
        let client = served.client
        // It would go on for much longer.
        let answer = Task {
            _ = try await client.post(
                "/v1/completions", ["prompt": "a", "max_tokens": 4000, "ignore_eos": true])
        }
        try await Task.sleep(for: .milliseconds(300))
        kill(served.running.process.processIdentifier, SIGTERM)
        try await Task.sleep(for: .milliseconds(200))
        #expect(served.running.process.isRunning)
        let start = Date()
        kill(served.running.process.processIdentifier, SIGTERM)
        let result = try served.running.finish()
        #expect(result.status == 130)
        #expect(Date().timeIntervalSince(start) < 2)
        await #expect(throws: (any Error).self) { try await answer.value }
    }

    @Test("what cannot be served is said before a model is loaded")
    func usage() throws {
        let keys = try Program.run(
            "serve", Program.tiny, "--api-key-file", "/nowhere", "--port", "0")
        #expect(keys.status == 1)
        #expect(keys.errors == "minima: /nowhere: cannot be read as UTF-8 text\n")
        let certificate = try Program.run("serve", Program.tiny, "--tls-cert", "x")
        #expect(certificate.status == 2)
        let memory = try Program.run(
            "serve", Program.tiny, "--cache-tokens", "1073741824", "--device", "cpu")
        #expect(memory.status == 1)
        #expect(memory.errors.contains("of keys and values do not fit"))
    }
}
