import Foundation
import Testing
import Text

@testable import Serve

@Suite("Calls of tools")
struct ToolCallTests {
    typealias Piece = ToolCallParser.Piece

    /// Contents joined, calls as they are.
    private func parse(_ text: String, pieces size: Int) -> [Piece] {
        var parser = ToolCallParser(.hermes)
        let scalars = Array(text.unicodeScalars)
        var found: [Piece] = []
        for start in stride(from: 0, to: scalars.count, by: size) {
            var piece = String.UnicodeScalarView()
            piece.append(contentsOf: scalars[start..<min(scalars.count, start + size)])
            found += parser.append(String(piece))
        }
        found += parser.finish()
        return found.reduce(into: []) { joined, piece in
            if case .content(let text) = piece, case .content(let before)? = joined.last {
                joined[joined.count - 1] = .content(before + text)
            } else {
                joined.append(piece)
            }
        }
    }

    private func call(_ name: String, _ arguments: String) throws -> Piece {
        .call(
            try #require(
                ToolCall(#"{"name":"\#(name)","arguments":\#(arguments)}"#.utf8)))
    }

    @Test("calls are found in whatever pieces an answer comes, and what is none stays text")
    func pieces() throws {
        let f = try call("f", #"{"a":[1,"é <tool_call>"]}"#)
        let cases: [(String, [Piece])] = [
            ("plain <b>text</b> \n", [.content("plain <b>text</b> \n")]),
            (
                "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, \"é <tool_call>\"]}}\n</tool_call>",
                [f]
            ),
            (
                "Let me see.\n\n<tool_call>{\"name\":\"g\",\"arguments\":{}}</tool_call>\n<tool_call>{\"name\":\"h\"}</tool_call>\n",
                [.content("Let me see."), try call("g", "{}"), try call("h", "{}")]
            ),
            // No JSON, no name, no object: text, blanks in front of it included.
            ("a <tool_call>{oops}</tool_call> b", [.content("a <tool_call>{oops}</tool_call> b")]),
            (
                "<tool_call>{\"name\":\"\",\"arguments\":{}}</tool_call>",
                [.content("<tool_call>{\"name\":\"\",\"arguments\":{}}</tool_call>")]
            ),
            (
                "<tool_call>{\"name\":\"f\",\"arguments\":7}</tool_call>",
                [.content("<tool_call>{\"name\":\"f\",\"arguments\":7}</tool_call>")]
            ),
            // Cut: the call if it is whole, the text if it is not.
            (
                "x<tool_call>{\"name\":\"g\",\"arguments\":{}}",
                [.content("x"), try call("g", "{}")]
            ),
            ("x <tool_call>{\"name\":", [.content("x <tool_call>{\"name\":")]),
            ("1 < 2 <tool_", [.content("1 < 2 <tool_")]),
            ("<<tool_call>{\"name\":\"g\"}</tool_call>", [.content("<"), try call("g", "{}")]),
        ]
        for (text, expected) in cases {
            for size in [1, 2, 3, 7, 1_000] {
                #expect(parse(text, pieces: size) == expected, "\(text) in pieces of \(size)")
            }
        }
    }

    /// Tells what a call is held to.
    private struct Schema: Error, CustomStringConvertible { let description: String }

    private static let tools =
        #"[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]"#

    private func served(
        marks: ToolCallMarks? = .hermes, says text: String,
        _ body: (TestServer) async throws -> Void
    ) async throws {
        var model = try TestServer.model(context: 1_000)
        model.toolCallMarks = marks
        model.constrainCall = { schema, _ in
            throw Schema(description: String(decoding: schema.utf8, as: UTF8.self))
        }
        let server = try await TestServer(model)
        server.script.change {
            $0.piece = text
            $0.finishesWithStop = true
        }
        do {
            try await body(server)
        } catch {
            try await server.stop()
            throw error
        }
        try await server.stop()
    }

    private func ask(_ server: TestServer, _ fields: String) async throws -> Reply {
        try await server.post(
            "/v1/chat/completions",
            #"{"messages":[{"role":"user","content":"hi"}],"max_tokens":2,\#(fields)}"#)
    }

    private static let said =
        "Well. <tool_call>{\"name\":\"weather\",\"arguments\":{\"city\":\"Oslo\"}}</tool_call>"

    @Test("a whole answer has its calls apart from its text")
    func whole() async throws {
        try await served(says: Self.said) { server in
            let reply = try await ask(server, #""tools":\#(Self.tools)"#)
            let choice = try #require((try reply.json()["choices"] as? [[String: Any]])?.first)
            #expect(choice["finish_reason"] as? String == "tool_calls")
            let message = try #require(choice["message"] as? [String: Any])
            #expect(message["content"] as? String == "Well.Well.")
            let calls = try #require(message["tool_calls"] as? [[String: Any]])
            #expect(calls.count == 2 && Set(calls.map { $0["id"] as? String }).count == 2)
            let function = try #require(calls[0]["function"] as? [String: String])
            #expect(function == ["name": "weather", "arguments": #"{"city":"Oslo"}"#])
            // Without tools it is text.
            let plain = try await ask(server, #""tool_choice":"none","tools":\#(Self.tools)"#)
            #expect(plain.body.contains("<tool_call>") && plain.body.contains("\"stop\""))
        }
        try await served(marks: nil, says: Self.said) { server in
            let reply = try await ask(server, #""tools":\#(Self.tools)"#)
            #expect(reply.body.contains("<tool_call>"))
        }
    }

    @Test("a stream says calls as pieces of their own, numbered")
    func stream() async throws {
        try await served(says: Self.said) { server in
            let reply = try await ask(server, #""stream":true,"tools":\#(Self.tools)"#)
            var (text, calls, reasons) = ("", [[String: Any]](), [String]())
            for piece in try reply.pieces() {
                let choice = try #require((piece["choices"] as? [[String: Any]])?.first)
                let delta = try #require(choice["delta"] as? [String: Any])
                text += delta["content"] as? String ?? ""
                calls += delta["tool_calls"] as? [[String: Any]] ?? []
                if let reason = choice["finish_reason"] as? String { reasons.append(reason) }
            }
            #expect(text == "Well.Well." && reasons == ["tool_calls"])
            #expect(calls.map { $0["index"] as? Int } == [0, 1])
        }
    }

    @Test("a tool that must be called is a schema; what cannot be is refused")
    func choices() async throws {
        try await served(says: "x") { server in
            let required = try await ask(
                server, #""tool_choice":"required","tools":\#(Self.tools)"#)
            #expect(required.status == 400)
            let message = try #require(try required.error()["message"] as? String)
            #expect(message.contains(#""name":{"const":"weather"}"#))
            #expect(message.contains(#""city":{"type":"string"}"#))
            let references = try await ask(
                server,
                ##""tool_choice":{"type":"function","function":{"name":"b"}},"tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"b","parameters":{"$ref":"#/$defs/x","$defs":{"x":{"type":"object"}}}}}]"##
            )
            let moved = try #require(try references.error()["message"] as? String)
            #expect(moved.contains(##""$ref":"#/anyOf/0/properties/arguments/$defs/x""##))
            for wrong in [
                #""tool_choice":"required""#, #""tool_choice":"any","tools":\#(Self.tools)"#,
                #""tool_choice":{"type":"function","function":{"name":"no"}},"tools":\#(Self.tools)"#,
                #""tool_choice":{"type":"function"},"tools":\#(Self.tools)"#,
                #""tool_choice":7,"tools":\#(Self.tools)"#,
            ] {
                let reply = try await ask(server, wrong)
                #expect(try reply.error()["param"] as? String == "tool_choice", "\(wrong)")
            }
        }
        try await served(marks: nil, says: "x") { server in
            let reply = try await ask(
                server, #""tool_choice":"required","tools":\#(Self.tools)"#)
            #expect(try reply.error()["param"] as? String == "tool_choice")
        }
    }

    @Test("arguments of earlier calls reach the template as objects")
    func history() async throws {
        var model = try TestServer.model(context: 1_000)
        model.render = { conversation in
            String(decoding: JSON.array(conversation.messages).utf8, as: UTF8.self)
        }
        func message(_ arguments: String) throws -> JSON {
            let body =
                #"{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":\#(arguments)}}]}],"max_tokens":1}"#
            return try JSON(parsing: Array(body.utf8))
        }
        let read = try GenerationRequest.chat(message(#""{\"a\":1}""#), model)
        let text = model.text(of: read.choices[0].prompt)
        #expect(text.contains(#""arguments":{"a":1}"#), "\(text)")
        #expect(throws: APIError.self) {
            try GenerationRequest.chat(message(#""{a""#), model)
        }
    }
}
