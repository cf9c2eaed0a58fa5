import Foundation
import Testing

@testable import Serve

@Suite("Overload, faults and clients that leave")
struct ReliabilityTests {
    private static func request(_ path: String, _ body: String) -> String {
        "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    private static let endless = request(
        "/v1/completions", #"{"prompt":"a","max_tokens":60,"stream":true}"#)

    /// A model whose answers may be long.
    private static func roomy() throws -> ServedModel {
        try TestServer.model(context: 1 << 20)
    }

    /// A stream that goes on until its client leaves or its step fails.
    private static func streaming(from server: TestServer) throws -> Wire {
        server.script.change { $0.stepSeconds = 0.01 }
        let wire = try Wire(port: server.port)
        wire.send(
            request("/v1/completions", #"{"prompt":"a","max_tokens":100000,"stream":true}"#))
        return wire
    }

    @Test func overloadIsRefusedBeforeTheBody() async throws {
        let server = try await TestServer { ($0.concurrency, $0.queue) = (1, 1) }
        server.script.change { $0.isStuck = true }
        let (port, script) = (server.port, server.script)
        let wires = try (0..<2).map { _ in
            let wire = try Wire(port: port)
            wire.send(Self.endless)
            return wire
        }
        try await eventually("both are accepted") { server.server.engine.load.running <= 1 }
        try await Task.sleep(for: .milliseconds(200))
        // The body is announced and never sent: the answer does not wait for it.
        let reply = try await server.exchange(
            "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        )
        #expect(reply.status == 429)
        #expect((reply.headers["retry-after"].flatMap { Int($0) } ?? 0) >= 1)
        #expect(try reply.error()["code"] as? String == "queue_full")
        script.change { $0.isStuck = false }
        for wire in wires {
            let text = try await offCooperativePool { [wire = Unchecked(wire)] in
                try wire.value.read(until: "[DONE]")
            }
            #expect(text.contains("200 OK"))
        }
        try await eventually("there is room again") {
            try await server.post("/v1/completions", #"{"prompt":"a","max_tokens":1}"#).status
                == 200
        }
        try await server.stop()
    }

    @Test func aClientThatLeavesFreesItsBlocks() async throws {
        let server = try await TestServer(try Self.roomy())
        let wire = try Self.streaming(from: server)
        _ = try await offCooperativePool { [wire = Unchecked(wire)] in
            try wire.value.read(until: "word")
        }
        let before = server.script.now.steps
        wire.close()
        try await eventually("the engine forgets it") { server.script.now.running == 0 }
        #expect(server.script.now.cancelled == [1])
        #expect(server.script.now.steps - before < 20)
        // One that does not stream is noticed as well.
        let second = try Wire(port: server.port)
        second.send(Self.request("/v1/completions", #"{"prompt":"a","max_tokens":100000}"#))
        try await eventually("it runs") { server.script.now.running == 1 }
        second.close()
        try await eventually("it is forgotten") { server.script.now.running == 0 }
        try await eventually("both are counted") { server.server.metrics.total(.abort) == 2 }
        try await server.stop()
    }

    @Test func aClientThatLeavesTheQueue() async throws {
        let server = try await TestServer()
        server.script.change { $0.isStuck = true }
        let first = try Wire(port: server.port)
        first.send(Self.endless)
        try await eventually("it is there") { server.script.now.running == 1 }
        let second = try Wire(port: server.port)
        second.send(Self.endless)
        try await Task.sleep(for: .milliseconds(100))
        second.close()
        try await Task.sleep(for: .milliseconds(100))
        server.script.change { $0.isStuck = false }
        _ = try await offCooperativePool { [wire = Unchecked(first)] in
            try wire.value.read(until: "[DONE]")
        }
        try await eventually("nothing is left") { server.script.now.running == 0 }
        // It was over before the engine heard of it.
        #expect(server.script.now.submitted.count == 1)
        try await server.stop()
    }

    @Test func aFailedStepFailsOnlyItsRequests() async throws {
        let server = try await TestServer { $0.concurrency = 1 }
        server.script.change { $0.isStuck = true }
        async let first = server.post("/v1/completions", #"{"prompt":"a","max_tokens":3}"#)
        try await eventually("the first is there") { server.script.now.running == 1 }
        async let second = server.post("/v1/completions", #"{"prompt":"b","max_tokens":3}"#)
        try await Task.sleep(for: .milliseconds(100))
        server.script.change { ($0.failingSteps, $0.isStuck) = (1, false) }
        let (failed, answered) = try await (first, second)
        #expect(failed.status == 500)
        #expect(try failed.error()["code"] as? String == "engine_error")
        #expect((try failed.error()["message"] as? String)?.contains("on fire") == true)
        #expect(answered.status == 200)
        #expect(try await server.get("/health").status == 200)
        try await eventually("it is counted") { server.server.metrics.total(.error) == 1 }
        try await server.stop()
    }

    @Test func aFaultWhileStreamingIsTold() async throws {
        let server = try await TestServer(try Self.roomy())
        let wire = try Self.streaming(from: server)
        let text = try await offCooperativePool {
            [wire = Unchecked(wire), script = server.script] in
            let begin = try wire.value.read(until: "word")
            script.change { $0.failingSteps = 1 }
            return begin + (try wire.value.read(until: "engine_error"))
        }
        #expect(!text.contains("[DONE]"))
        try await server.stop()
    }

    @Test func healthIsTheEnginesHeartbeat() async throws {
        let server = try await TestServer { $0.stepTimeout = 1 }
        // Steps that fail, one after the other.
        server.script.change { $0.failingSteps = EngineService.toleratedFailures }
        for _ in 0..<EngineService.toleratedFailures {
            let reply = try await server.post("/v1/completions", #"{"prompt":"a"}"#)
            #expect(reply.status == 500)
        }
        let red = try await server.get("/health")
        #expect(red.status == 503)
        // It goes on trying, and recovers.
        let reply = try await server.post("/v1/completions", #"{"prompt":"a"}"#)
        #expect(reply.status == 200)
        #expect(try await server.get("/health").status == 200)
        // A step that does not end.
        server.script.change { $0.isStuck = true }
        async let stuck = server.post("/v1/completions", #"{"prompt":"a"}"#)
        try await eventually("it is red") { try await server.get("/health").status == 503 }
        server.script.change { $0.isStuck = false }
        #expect(try await stuck.status == 200)
        #expect(try await server.get("/health").status == 200)
        try await server.stop()
    }

    @Test func deadline() async throws {
        let server = try await TestServer(try Self.roomy()) { $0.timeout = 1 }
        server.script.change { $0.stepSeconds = 0.02 }
        let reply = try await server.post(
            "/v1/completions", #"{"prompt":"a","max_tokens":100000}"#)
        #expect(reply.status == 504)
        #expect(try reply.error()["code"] as? String == "deadline_exceeded")
        try await eventually("the engine forgets it") { server.script.now.running == 0 }
        let stream = try await server.post(
            "/v1/completions", #"{"prompt":"a","max_tokens":100000,"stream":true}"#)
        #expect(stream.status == 200)
        #expect(stream.events.last?.contains("deadline_exceeded") == true)
        try await server.stop()
    }

    @Test func aReaderThatDoesNotReadIsBounded() async throws {
        let server = try await TestServer(try Self.roomy())
        server.script.change { $0.piece = String(repeating: "x", count: 100_000) }
        let wire = try Wire(port: server.port)
        wire.send(
            Self.request(
                "/v1/completions", #"{"prompt":"a","max_tokens":1000000,"stream":true}"#))
        try await eventually("it is given up") { server.script.now.cancelled == [1] }
        // What the sockets hold, and what may wait for the reader.
        #expect(server.script.now.steps < 2_000)
        wire.close()
        try await eventually("its place is free") { server.server.admission.held == 0 }
        try await server.stop()
    }

    @Test func drainFinishesWhatRuns() async throws {
        let server = try await TestServer()
        server.script.change { $0.stepSeconds = 0.02 }
        async let running = server.post("/v1/completions", #"{"prompt":"a","max_tokens":30}"#)
        try await eventually("it runs") { server.script.now.running == 1 }
        async let stopped: Void = server.stop()
        let reply = try await running
        #expect(reply.status == 200)
        #expect(try reply.json()["choices"] != nil)
        try await stopped
        let port = server.port
        #expect(throws: Wire.Broken.self) { try Wire(port: port) }
    }

    @Test func drainingRefusesWhatIsNew() async throws {
        let admission = Admission(concurrency: 1, queue: 1)
        let permit = try admission.take(1)
        admission.drain()
        #expect { try admission.take(1) } throws: { ($0 as? APIError)?.status == 503 }
        #expect(admission.held == 1)
        withExtendedLifetime(permit) {}
    }

    @Test func keepAliveSurvivesGenerations() async throws {
        let server = try await TestServer()
        let wire = try Wire(port: server.port)
        let text = try await offCooperativePool { [wire = Unchecked(wire)] in
            var text = ""
            for _ in 0..<3 {
                wire.value.send(Self.endless)
                text += try wire.value.read(until: "[DONE]\n\n\r\n0\r\n\r\n")
            }
            return text
        }
        #expect(text.components(separatedBy: "200 OK").count == 4)
        try await server.stop()
    }

    @Test func tokenEventsAreJoinedForSlowReaders() async throws {
        let mailbox = Mailbox(choices: 1)
        for token in 1...1_000 {
            #expect(mailbox.put(0) { $0.add("ab", tokens: token) })
        }
        let pieces = try await mailbox.next()
        #expect(pieces.count == 1)
        #expect(pieces[0].text.count == 2_000 && pieces[0].tokens == 1_000)
        let big = String(repeating: "x", count: Mailbox.capacity)
        #expect(mailbox.put(0) { $0.add(big, tokens: 1_001) })
        #expect(!mailbox.put(0) { $0.add("x", tokens: 1_002) })
    }
}

/// A value that a test hands from thread to thread, one at a time.
struct Unchecked<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
