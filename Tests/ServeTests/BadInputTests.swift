// The bad-input checklist, line by line: what a server meets that stands in a network, and what each of it gets. What
// concerns the engine (stop strings across tokens, caches that run out, numbers that are none) is tested with the engine;
// clients that leave or do not read, with the server's reliability; signals, with the built program.
import Foundation
import Testing

@testable import Serve

@Suite("Bad input")
struct BadInputTests {
    /// Fields of a completion, and what they get: the field that the error names, or `nil` where they are fine.
    static let fields: [(fields: String, param: String?)] = [
        (#""temperature":1e400"#, "temperature"), (#""temperature":-0.0"#, nil),
        (#""temperature":-0.1"#, "temperature"), (#""temperature":2.1"#, "temperature"),
        (#""temperature":"1""#, "temperature"), (#""temperature":[]"#, "temperature"),
        (#""temperature":-1e400"#, "temperature"), (#""temperature":null"#, nil),
        (#""top_p":1e400"#, "top_p"), (#""top_p":-0.0"#, nil), (#""top_p":0"#, nil),
        (#""top_p":-1"#, "top_p"), (#""top_p":1.5"#, "top_p"), (#""top_p":true"#, "top_p"),
        (#""min_p":2"#, "min_p"), (#""presence_penalty":3"#, "presence_penalty"),
        (#""frequency_penalty":-2.5"#, "frequency_penalty"),
        (#""repetition_penalty":0"#, "repetition_penalty"),
        (#""repetition_penalty":-1"#, "repetition_penalty"),
        (#""max_tokens":-1"#, "max_tokens"), (#""max_tokens":0"#, "max_tokens"),
        (#""max_tokens":2147483648"#, "max_tokens"),
        (#""max_tokens":9223372036854775808"#, "max_tokens"),
        (#""max_tokens":-9223372036854775809"#, "max_tokens"),
        (#""max_tokens":"5""#, "max_tokens"), (#""max_tokens":1.5"#, "max_tokens"),
        (#""max_tokens":1e400"#, "max_tokens"), (#""max_tokens":5.0"#, nil),
        (#""max_tokens":2147483647"#, "prompt"),
        (#""n":-1"#, "n"), (#""n":0"#, "n"), (#""n":2147483648"#, "n"), (#""n":16384"#, "n"),
        (#""n":9223372036854775808"#, "n"), (#""n":"2""#, "n"), (#""n":1.5"#, "n"),
        // More than are computed and wait at once.
        (#""n":128"#, "n"),
        (#""seed":-1"#, nil), (#""seed":0"#, nil), (#""seed":2147483648"#, nil),
        (#""seed":9223372036854775807"#, nil), (#""seed":9223372036854775808"#, "seed"),
        (#""seed":"1""#, "seed"), (#""seed":1.5"#, "seed"),
        (#""top_k":-1"#, nil), (#""top_k":0"#, nil), (#""top_k":-2"#, "top_k"),
        (#""top_k":2147483648"#, "top_k"), (#""top_k":9223372036854775808"#, "top_k"),
        (#""top_k":"1""#, "top_k"), (#""top_k":1.5"#, "top_k"),
        (#""logprobs":-1"#, "logprobs"), (#""logprobs":0"#, nil), (#""logprobs":6"#, "logprobs"),
        (#""logprobs":2147483648"#, "logprobs"), (#""logprobs":9223372036854775808"#, "logprobs"),
        (#""logprobs":true"#, "logprobs"), (#""logprobs":"1""#, "logprobs"),
        (#""priority":-1"#, "priority"), (#""priority":9223372036854775808"#, "priority"),
        (#""tempreature":0"#, "tempreature"), (#""best_of":2"#, "best_of"),
        (#""suffix":"x""#, "suffix"), (#""echo":true,"logprobs":1"#, nil),
        (#""stream":1"#, "stream"), (#""stream_options":{"x":1}"#, "stream_options.x"),
        (#""model":"other""#, "model"), (#""model":1"#, "model"),
        (#""logit_bias":{"4096":1}"#, "logit_bias"), (#""logit_bias":{"-1":1}"#, "logit_bias"),
        (#""logit_bias":{"a":1}"#, "logit_bias"), (#""logit_bias":{"05":1}"#, "logit_bias"),
        (#""logit_bias":{"99999999999999999999":1}"#, "logit_bias"),
        (#""logit_bias":{"5":101}"#, "logit_bias"), (#""logit_bias":{"5":"1"}"#, "logit_bias"),
        (#""logit_bias":{"5":1e400}"#, "logit_bias"), (#""logit_bias":[5]"#, "logit_bias"),
        (#""logit_bias":{}"#, nil),
        (#""stop_token_ids":[4096]"#, "stop_token_ids"),
        (#""stop_token_ids":[-1]"#, "stop_token_ids"),
        (#""stop_token_ids":["1"]"#, "stop_token_ids"), (#""stop_token_ids":[]"#, nil),
        (#""stop":[]"#, nil), (#""stop":"""#, "stop"), (#""stop":["a",""]"#, "stop"),
        (#""stop":[1]"#, "stop"), (#""stop":{}"#, "stop"), (#""stop":null"#, nil),
        (#""stop":"\#(String(repeating: "x", count: 129))""#, "stop"),
        (#""stop":[\#(Array(repeating: #""x""#, count: 10_000).joined(separator: ","))]"#, "stop"),
    ]

    @Test func fields() async throws {
        let server = try await TestServer()
        for (fields, param) in Self.fields {
            let body = #"{"prompt":"a",\#(fields)}"#
            let reply = try await server.post("/v1/completions", body)
            let what = "\(fields.prefix(60)): \(reply.body.prefix(200))"
            if let param {
                #expect(
                    reply.status == (param == "model" && fields.contains("other") ? 404 : 400),
                    "\(what)")
                #expect(try reply.error()["param"] as? String == param, "\(what)")
                #expect(try reply.error()["type"] as? String == "invalid_request_error")
            } else {
                #expect(reply.status == 200, "\(what)")
            }
        }
        try await server.stop()
    }

    /// Bodies of completions, and the status and code that they get.
    static let prompts: [(body: String, status: Int, code: String?)] = [
        (#"{"prompt":""}"#, 200, nil), (#"{"prompt":null}"#, 400, nil), (#"{}"#, 400, nil),
        (#"{"prompt":[]}"#, 400, nil), (#"{"prompt":[[]]}"#, 400, nil),
        (#"{"prompt":{}}"#, 400, nil), (#"{"prompt":5}"#, 400, nil),
        (#"{"prompt":[true]}"#, 400, nil),
        (#"{"prompt":[4096]}"#, 400, nil), (#"{"prompt":[-1]}"#, 400, nil),
        (#"{"prompt":[2147483648]}"#, 400, nil), (#"{"prompt":[1.5]}"#, 400, nil),
        (#"{"prompt":[1,"a"]}"#, 400, nil), (#"{"prompt":["a",1]}"#, 400, nil),
        (#"{"prompt":[[1],[4096]]}"#, 400, nil), (#"{"prompt":[4095]}"#, 200, nil),
        // A context of 64 tokens.
        (#"{"prompt":\#(Array(repeating: 5, count: 63)),"max_tokens":1}"#, 200, nil),
        (
            #"{"prompt":\#(Array(repeating: 5, count: 64)),"max_tokens":1}"#, 400,
            "context_length_exceeded"
        ),
        (
            #"{"prompt":\#(Array(repeating: 5, count: 65)),"max_tokens":1}"#, 400,
            "context_length_exceeded"
        ),
        (
            #"{"prompt":\#(Array(repeating: 5, count: 6400)),"max_tokens":1}"#, 400,
            "context_length_exceeded"
        ),
        (
            #"{"prompt":"\#(String(repeating: "word ", count: 6400))"}"#, 400,
            "context_length_exceeded"
        ),
        (
            #"{"prompt":\#(Array(repeating: 5, count: 62)),"max_tokens":3}"#, 400,
            "context_length_exceeded"
        ),
        (#"{"prompt":"a\u0000b"}"#, 200, nil), (#"{"prompt":"<|endoftext|>"}"#, 200, nil),
        (#"{"prompt":"\ud800"}"#, 400, "invalid_json"),
        (#"{"prompt":"\udc00\ud800"}"#, 400, "invalid_json"),
        (#"{"prompt":"\ud83d\ude00"}"#, 200, nil),
        (#"{"prompt":"a","prompt":"b"}"#, 400, "invalid_json"),
        (#"{"prompt":"a","logit_bias":{"5":1,"5":2}}"#, 400, "invalid_json"),
        (#"{"prompt":"a","temperature":NaN}"#, 400, "invalid_json"),
        (#"{"prompt":"a","temperature":Infinity}"#, 400, "invalid_json"),
        (#"{"prompt":"a",}"#, 400, "invalid_json"), (#"{"prompt":"a"} x"#, 400, "invalid_json"),
        (#"{'prompt':'a'}"#, 400, "invalid_json"), ("", 400, "invalid_json"), ("[]", 400, nil),
        ("\"prompt\"", 400, nil), ("null", 400, nil),
        (String(repeating: "[", count: 10_000), 400, "invalid_json"),
        (String(repeating: #"{"a":"#, count: 10_000), 400, "invalid_json"),
        (#"{"prompt":\#(String(repeating: "[", count: 10_000))"#, 400, "invalid_json"),
    ]

    @Test func prompts() async throws {
        let server = try await TestServer()
        for (body, status, code) in Self.prompts {
            let reply = try await server.post("/v1/completions", body)
            #expect(reply.status == status, "\(body.prefix(60)): \(reply.body.prefix(200))")
            guard status != 200 else { continue }
            #expect(try reply.error()["code"] as? String == code, "\(body.prefix(60))")
        }
        // The same bodies are no better elsewhere.
        for (body, _, code) in Self.prompts where code == "invalid_json" {
            for path in ["/v1/chat/completions", "/v1/responses", "/tokenize", "/detokenize"] {
                let reply = try await server.post(path, body)
                #expect(reply.status == 400)
                #expect(try reply.error()["code"] as? String == code)
            }
        }
        try await server.stop()
    }

    static let user = #""messages":[{"role":"user","content":"Hi"}]"#

    /// Bodies of chats, and what they get.
    static let chats: [(body: String, status: Int)] = [
        (#"{"messages":[]}"#, 400), (#"{}"#, 400), (#"{"messages":"Hi"}"#, 400),
        (#"{"messages":[5]}"#, 400), (#"{"messages":[{"role":"user"}]}"#, 400),
        (#"{"messages":[{"role":"user","content":null}]}"#, 400),
        (#"{"messages":[{"role":"assistant","content":null,"tool_calls":[]}]}"#, 200),
        (#"{"messages":[{"role":"assistant","content":"","tool_calls":[[null]]}]}"#, 400),
        (#"{"messages":[{"role":"wizard","content":"Hi"}]}"#, 400),
        (#"{"messages":[{"role":null,"content":"Hi"}]}"#, 400),
        (#"{"messages":[{"content":"Hi"}]}"#, 400),
        (#"{"messages":[{"role":"user","content":5}]}"#, 400),
        (#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}"#, 400),
        (#"{"messages":[{"role":"user","content":"Hi","x":1}]}"#, 400),
        (#"{"messages":[{"role":"user","content":""}]}"#, 200),
        (#"{"messages":[{"role":"user","content":"<|endoftext|><|im_end|>"}]}"#, 200),
        (
            #"{"messages":[{"role":"user","content":"\#(Unicode.Scalar(0xFDD0 as UInt32).map { "\($0)" } ?? "")"}]}"#,
            400
        ),
        (
            #"{"messages":[\#(Array(repeating: #"{"role":"user","content":""}"#, count: 100_000).joined(separator: ","))]}"#,
            400
        ),
        (#"{\#(user),"top_logprobs":2}"#, 400), (#"{\#(user),"logprobs":5}"#, 400),
        (#"{\#(user),"logprobs":true,"top_logprobs":21}"#, 400),
        (#"{\#(user),"max_completion_tokens":0}"#, 400),
        (#"{\#(user),"max_completion_tokens":64}"#, 400),
        (
            #"{\#(user),"tools":[{"type":"function","function":{"name":"f","parameters":{"pattern":"(","type":7}}}]}"#,
            200
        ),
        (#"{\#(user),"tools":[{"type":"function"}]}"#, 400), (#"{\#(user),"tools":[5]}"#, 400),
        (#"{\#(user),"tools":[{"type":"retrieval"}]}"#, 400),
        (#"{\#(user),"tool_choice":"required"}"#, 400),
        (#"{\#(user),"response_format":{"type":"text"}}"#, 200),
        (#"{\#(user),"response_format":{"type":"jsonn"}}"#, 400),
        (#"{\#(user),"response_format":"json"}"#, 400),
        (
            #"{\#(user),"response_format":{"type":"json_schema","json_schema":\#(String(repeating: #"{"items":"#, count: 10_000))"#,
            400
        ),
        (#"{\#(user),"n":17}"#, 400),
    ]

    @Test func chats() async throws {
        let server = try await TestServer()
        for (body, status) in Self.chats {
            let reply = try await server.post("/v1/chat/completions", body)
            #expect(reply.status == status, "\(body.prefix(90)): \(reply.body.prefix(200))")
        }
        let bad = try await server.post("/v1/responses", #"{"input":[{"role":"user"}]}"#)
        #expect(bad.status == 400)
        let stored = try await server.post(
            "/v1/responses", #"{"input":"a","previous_response_id":"r"}"#)
        #expect(stored.status == 400)
        for tokens in ["[4096]", "[-1]", "[1.5]", #"["a"]"#, "5", "null"] {
            let reply = try await server.post("/detokenize", #"{"tokens":\#(tokens)}"#)
            #expect(reply.status == 400, "\(tokens)")
        }
        try await server.stop()
    }

    @Test func bytesThatAreNoText() async throws {
        let server = try await TestServer()
        let reply = try await offCooperativePool { [port = server.port] in
            let wire = try Wire(port: port)
            let body =
                Array(#"{"prompt":""#.utf8) + [0xFF, 0xC0, 0xAF, 0xED, 0xA0, 0x80]
                + Array(#""}"#.utf8)
            wire.send(
                "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.count)\r\nConnection: close\r\n\r\n"
            )
            wire.send(body)
            return try Reply(wire.readAll(seconds: 10))
        }
        #expect(reply.status == 400)
        #expect(try reply.error()["code"] as? String == "invalid_json")
        let form = try await server.exchange(
            "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"
        )
        #expect(form.status == 415)
        try await server.stop()
    }
}
