import Foundation
import Testing
import Text

@testable import Serve

@Suite("What clients get")
struct ProtocolTests {
    private func served(
        _ body: (TestServer) async throws -> Void
    ) async throws {
        let server = try await TestServer()
        do {
            try await body(server)
        } catch {
            try await server.stop()
            throw error
        }
        try await server.stop()
    }

    @Test func completion() async throws {
        try await served { server in
            let reply = try await server.post(
                "/v1/completions", #"{"model":"tiny","prompt":"The history","max_tokens":3}"#)
            #expect(reply.status == 200)
            #expect(reply.headers["content-type"] == "application/json")
            #expect(reply.headers["x-request-id"]?.hasPrefix("req-") == true)
            let json = try reply.json()
            #expect(json["object"] as? String == "text_completion")
            #expect((json["id"] as? String)?.hasPrefix("cmpl-") == true)
            let choice = try #require((json["choices"] as? [[String: Any]])?.first)
            #expect(choice["text"] as? String == " word word word")
            #expect(choice["finish_reason"] as? String == "length")
            #expect(choice["logprobs"] is NSNull)
            let prompt = try Tokenizer(path: TestServer.tiny).encode(
                "The history", addSpecialTokens: true)
            let usage = try #require(json["usage"] as? [String: Int])
            #expect(
                usage == [
                    "prompt_tokens": prompt.count, "completion_tokens": 3,
                    "total_tokens": prompt.count + 3,
                ])
            #expect(server.script.now.submitted.first?.prompt == prompt.map(Int.init))
        }
    }

    @Test func parametersArrive() async throws {
        try await served { server in
            let reply = try await server.post(
                "/v1/completions",
                #"""
                {"prompt":[5,6,7],"max_tokens":2,"temperature":0.5,"top_p":0.25,"top_k":7,"min_p":0.125,"seed":-1,
                 "presence_penalty":1,"frequency_penalty":-1.5,"repetition_penalty":1.25,"stop":["a","b"],
                 "stop_token_ids":[3],"ignore_eos":true,"logit_bias":{"5":-100,"6":1.5},"logprobs":2,"user":"u"}
                """#)
            #expect(reply.status == 200)
            let request = try #require(server.script.now.submitted.first)
            var sampling = SamplingParameters()
            (sampling.temperature, sampling.topP, sampling.topK) = (0.5, 0.25, 7)
            (sampling.minP, sampling.seed, sampling.logprobs) = (0.125, .max, 2)
            (sampling.presencePenalty, sampling.frequencyPenalty) = (1, -1.5)
            sampling.repetitionPenalty = 1.25
            sampling.bias = [5: -100, 6: 1.5]
            #expect(request.sampling == sampling)
            #expect(request.prompt == [5, 6, 7])
            #expect(request.stops == ["a", "b"])
            #expect(request.stopTokens == [3])
            #expect(request.ignoresEnd)
            #expect(request.maxTokens == 2)
        }
    }

    @Test func completionStream() async throws {
        try await served { server in
            let reply = try await server.post(
                "/v1/completions",
                #"{"prompt":"a","max_tokens":4,"stream":true,"stream_options":{"include_usage":true}}"#
            )
            #expect(reply.headers["content-type"]?.hasPrefix("text/event-stream") == true)
            #expect(reply.events.last == "[DONE]")
            let pieces = try reply.pieces()
            let texts = pieces.compactMap {
                (($0["choices"] as? [[String: Any]])?.first)?["text"] as? String
            }
            #expect(texts.joined() == " word word word word")
            let usage = pieces.last?["usage"] as? [String: Int]
            #expect(usage?["completion_tokens"] == 4)
            #expect((pieces.last?["choices"] as? [Any])?.isEmpty == true)
            let reasons = pieces.dropLast().compactMap {
                (($0["choices"] as? [[String: Any]])?.first)?["finish_reason"] as? String
            }
            #expect(reasons == ["length"])
        }
    }

    @Test func severalPromptsAndChoices() async throws {
        try await served { server in
            let reply = try await server.post(
                "/v1/completions",
                #"{"prompt":["a","b"],"n":2,"max_tokens":2,"echo":true,"seed":5}"#)
            let choices = try #require(try reply.json()["choices"] as? [[String: Any]])
            #expect(choices.map { $0["index"] as? Int } == [0, 1, 2, 3])
            #expect(
                choices.map { $0["text"] as? String } == [
                    "a word word", "a word word", "b word word", "b word word",
                ])
            #expect(server.script.now.submitted.map(\.sampling.seed) == [5, 6, 7, 8])
        }
    }

    @Test func echoAlone() async throws {
        try await served { server in
            let reply = try await server.post(
                "/v1/completions", #"{"prompt":"abc","max_tokens":0,"echo":true}"#)
            let choices = try #require(try reply.json()["choices"] as? [[String: Any]])
            #expect(choices.first?["text"] as? String == "abc")
            #expect(server.script.now.submitted.isEmpty)
        }
    }

    @Test(
        "a prompt that is echoed with log-probabilities stands first among them",
        arguments: [(0, false), (1, false), (0, true), (1, true)])
    func echoedLogprobs(tokens: Int, streams: Bool) async throws {
        try await served { server in
            let body =
                #"{"prompt":[5,9,1000],"max_tokens":\#(tokens),"echo":true,"logprobs":1,"stream":\#(streams)}"#
            let reply = try await server.post("/v1/completions", body)
            let pieces = streams ? try reply.pieces() : [try reply.json()]
            let choices = pieces.compactMap { ($0["choices"] as? [[String: Any]])?.first }
            let logprobs = choices.compactMap { $0["logprobs"] as? [String: Any] }
            func all<Value>(_ name: String, as: Value.Type) -> [Value?] {
                logprobs.flatMap { $0[name] as? [Any] ?? [] }.map { $0 as? Value }
            }
            let answer = Array(repeating: -0.5, count: tokens)
            #expect(all("token_logprobs", as: Double.self) == [nil, -1, -2] + answer)
            let tokenizer = try Tokenizer(path: TestServer.tiny)
            let texts = try ([5, 9, 1000] + Array(repeating: 1000, count: tokens)).map {
                try tokenizer.decode([TokenID($0)])
            }
            #expect(all("tokens", as: String.self) == texts)
            let top = all("top_logprobs", as: [String: Double].self)
            #expect(top == [nil, [texts[1]: -1], [texts[2]: -2]] + answer.map { [texts[2]: $0] })
            var offsets: [Int] = []
            for text in texts { offsets.append((offsets.last ?? 0) + text.unicodeScalars.count) }
            #expect(all("text_offset", as: Int.self) == [0] + offsets.dropLast())
            let text = choices.compactMap { $0["text"] as? String }.joined()
            #expect(text == texts.prefix(3).joined() + (tokens > 0 ? " word" : ""))
            #expect(choices.last?["finish_reason"] as? String == "length")
            #expect(server.script.now.submitted.map(\.scoresPrompt) == [true])
        }
    }

    @Test("what is known of a prompt's tokens is held until it is sent, and so bounded")
    func manyScoredTokens() async throws {
        let server = try await TestServer(TestServer.model(context: 1 << 19))
        let tokens = Array(repeating: "5", count: (1 << 18) + 1).joined(separator: ",")
        for (fields, status) in [(#","logprobs":0"#, 400), ("", 200)] {
            let reply = try await server.post(
                "/v1/completions",
                #"{"prompt":[\#(tokens)],"max_tokens":1,"echo":true\#(fields)}"#)
            #expect(reply.status == status)
            let error = try reply.json()["error"] as? [String: Any]
            #expect(error?["param"] as? String == (status == 400 ? "prompt" : nil))
        }
        try await server.stop()
    }

    @Test func completionLogprobs() async throws {
        try await served { server in
            let reply = try await server.post(
                "/v1/completions", #"{"prompt":"a","max_tokens":2,"logprobs":2}"#)
            let choice = try #require((try reply.json()["choices"] as? [[String: Any]])?.first)
            let logprobs = try #require(choice["logprobs"] as? [String: Any])
            #expect(logprobs["token_logprobs"] as? [Double] == [-0.5, -0.5])
            let tokenizer = try Tokenizer(path: TestServer.tiny)
            let text = try tokenizer.decode([1000])
            #expect(logprobs["tokens"] as? [String] == [text, text])
            #expect(logprobs["text_offset"] as? [Int] == [0, text.unicodeScalars.count])
            let top = try #require(logprobs["top_logprobs"] as? [[String: Double]])
            #expect(top.map(\.count) == [2, 2])
            #expect(top[0][text] == -0.5)
        }
    }

    @Test func chat() async throws {
        try await served { server in
            let reply = try await server.post(
                "/v1/chat/completions",
                #"""
                {"model":"tiny","messages":[{"role":"system","content":"Be brief."},
                 {"role":"user","content":[{"type":"text","text":"Hi"},{"type":"text","text":" you"}]}],
                 "max_completion_tokens":2,"logprobs":true,"top_logprobs":1}
                """#)
            #expect(reply.status == 200)
            let json = try reply.json()
            #expect(json["object"] as? String == "chat.completion")
            let choice = try #require((json["choices"] as? [[String: Any]])?.first)
            let message = try #require(choice["message"] as? [String: Any])
            #expect(message["content"] as? String == " word word")
            #expect(message["role"] as? String == "assistant")
            let content = (choice["logprobs"] as? [String: Any])?["content"] as? [[String: Any]]
            #expect(content?.count == 2)
            #expect(content?.first?["logprob"] as? Double == -0.5)
            #expect((content?.first?["top_logprobs"] as? [Any])?.count == 1)
            let tokenizer = try Tokenizer(path: TestServer.tiny)
            let prompt = tokenizer.encode("<system>Be brief.<user>Hi you<assistant>")
            #expect(server.script.now.submitted.first?.prompt == prompt.map(Int.init))
        }
    }

    @Test func chatStream() async throws {
        try await served { server in
            let reply = try await server.post(
                "/v1/chat/completions",
                #"{"messages":[{"role":"user","content":"Hi"}],"max_tokens":3,"stream":true,"n":2}"#
            )
            let pieces = try reply.pieces()
            var texts = ["", ""]
            for piece in pieces {
                #expect(piece["object"] as? String == "chat.completion.chunk")
                let choice = try #require((piece["choices"] as? [[String: Any]])?.first)
                let delta = try #require(choice["delta"] as? [String: Any])
                let index = try #require(choice["index"] as? Int)
                texts[index] += delta["content"] as? String ?? ""
            }
            #expect(texts == [" word word word", " word word word"])
            #expect(reply.events.last == "[DONE]")
        }
    }

    @Test func controlTokensInTextsAreText() async throws {
        try await served { server in
            let tokenizer = try Tokenizer(path: TestServer.tiny)
            let special = try #require(tokenizer.specialTexts.first)
            let id = try #require(tokenizer.id(of: special))
            let reply = try await server.post(
                "/v1/chat/completions",
                #"{"messages":[{"role":"user","content":"a\#(special)b"}],"max_tokens":1}"#)
            #expect(reply.status == 200)
            let prompt = try #require(server.script.now.submitted.first?.prompt)
            #expect(!prompt.contains(Int(id)))
            #expect(try tokenizer.decode(prompt.map(TokenID.init)).contains("a\(special)b"))
        }
    }

    @Test func chatWithoutTemplate() async throws {
        var model = try TestServer.model()
        model.render = nil
        let server = try await TestServer(model)
        let reply = try await server.post(
            "/v1/chat/completions", #"{"messages":[{"role":"user","content":"Hi"}]}"#)
        #expect(reply.status == 400)
        #expect(try reply.error()["code"] as? String == "no_chat_template")
        try await server.stop()
    }

    @Test func responses() async throws {
        try await served { server in
            let reply = try await server.post(
                "/v1/responses",
                #"{"input":"Hi","instructions":"Be brief.","max_output_tokens":2,"temperature":0}"#)
            let json = try reply.json()
            #expect(json["object"] as? String == "response")
            #expect(json["status"] as? String == "incomplete")
            let message = try #require((json["output"] as? [[String: Any]])?.first)
            let part = try #require((message["content"] as? [[String: Any]])?.first)
            #expect(part["text"] as? String == " word word")
            let stream = try await server.post(
                "/v1/responses", #"{"input":"Hi","max_output_tokens":2,"stream":true}"#)
            let pieces = try stream.pieces()
            #expect(pieces.map { $0["sequence_number"] as? Int } == pieces.indices.map { $0 })
            #expect(pieces.first?["type"] as? String == "response.created")
            #expect(pieces.last?["type"] as? String == "response.incomplete")
            let deltas = pieces.filter { $0["type"] as? String == "response.output_text.delta" }
            #expect(deltas.compactMap { $0["delta"] as? String }.joined() == " word word")
        }
    }

    @Test func tokens() async throws {
        try await served { server in
            let text = "The history of Łódź 🙂"
            let reply = try await server.post("/tokenize", #"{"prompt":"\#(text)"}"#)
            let tokens = try #require(try reply.json()["tokens"] as? [Int])
            let expected = try Tokenizer(path: TestServer.tiny).encode(text, addSpecialTokens: true)
            #expect(tokens == expected.map(Int.init))
            let back = try await server.post("/detokenize", #"{"tokens":\#(tokens)}"#)
            #expect(try back.json()["prompt"] as? String == text)
        }
    }

    @Test func smallRoutes() async throws {
        try await served { server in
            let models = try await server.get("/v1/models")
            let list = try #require(try models.json()["data"] as? [[String: Any]])
            #expect(list.map { $0["id"] as? String } == ["tiny"])
            let health = try await server.get("/health")
            #expect(health.status == 200)
            let head = try await server.get("/health", method: "HEAD")
            #expect(head.status == 200 && head.body.isEmpty)
            let page = try await server.get("/")
            #expect(page.status == 404)
            let missing = try await server.get("/v2/models")
            #expect(missing.status == 404)
            #expect(try missing.error()["type"] as? String == "invalid_request_error")
            let method = try await server.get("/v1/completions")
            #expect(method.status == 405)
            #expect(method.headers["allow"] == "POST")
            let openAPI = try await server.get("/openapi.json")
            let paths = try #require(try openAPI.json()["paths"] as? [String: Any])
            #expect(!openAPI.body.contains("LARGEST TOKEN") && openAPI.body.contains("4095"))
            #expect(Set(paths.keys) == Set(Route.allCases.map(\.rawValue)).subtracting(["/"]))
        }
    }

    @Test func pageIsServed() async throws {
        let server = try await TestServer(page: Array("<p>Hi".utf8))
        let page = try await server.get("/")
        #expect(page.body == "<p>Hi")
        #expect(page.headers["content-security-policy"] != nil)
        try await server.stop()
    }

    @Test func metrics() async throws {
        try await served { server in
            _ = try await server.post(
                "/v1/completions", #"{"prompt":"a","max_tokens":4,"stream":true}"#)
            _ = try await server.post("/v1/completions", #"{"prompt":"a","max_tokens":-1}"#)
            let text = try await server.get("/metrics").body
            let labels = #"model_name="tiny",engine="0""#
            for line in [
                #"vllm:generation_tokens_total{\#(labels)} 4.0"#,
                #"vllm:request_success_total{\#(labels),finished_reason="length"} 1.0"#,
                #"vllm:request_success_total{\#(labels),finished_reason="error"} 0.0"#,
                #"vllm:request_refused_total{\#(labels),status="400"} 1.0"#,
                #"vllm:time_to_first_token_seconds_count{\#(labels)} 1"#,
                #"vllm:inter_token_latency_seconds_count{\#(labels)} 3"#,
                #"vllm:e2e_request_latency_seconds_count{\#(labels)} 1"#,
                #"vllm:request_queue_time_seconds_count{\#(labels)} 1"#,
                #"vllm:request_params_max_tokens_bucket{\#(labels),le="4.0"} 1"#,
                #"vllm:request_max_num_generation_tokens_sum{\#(labels)} 4.0"#,
                #"vllm:num_requests_running{\#(labels)} 0.0"#,
                #"vllm:kv_cache_usage_perc{\#(labels)} 0.0"#,
            ] {
                #expect(text.contains(line + "\n"), "\(line)")
            }
            // What dashboards for vLLM look for.
            for name in [
                "num_requests_running", "num_requests_waiting", "kv_cache_usage_perc",
                "cache_config_info", "prompt_tokens_total", "generation_tokens_total",
                "request_success_total", "prefix_cache_queries_total", "prefix_cache_hits_total",
                "num_preemptions_total", "time_to_first_token_seconds",
                "inter_token_latency_seconds", "e2e_request_latency_seconds",
                "request_queue_time_seconds", "request_prefill_time_seconds",
                "request_decode_time_seconds", "request_inference_time_seconds",
                "request_prompt_tokens", "request_generation_tokens", "request_params_n",
                "request_params_max_tokens", "request_max_num_generation_tokens",
                "iteration_tokens_total",
            ] {
                #expect(text.contains("# TYPE vllm:\(name) "), "\(name)")
            }
        }
    }
}
