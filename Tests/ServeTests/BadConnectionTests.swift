// The part of the bad-input checklist that is about bytes on a connection.
import Foundation
import Testing

@testable import Serve

@Suite("Bad connections")
struct BadConnectionTests {
    private static let good = #"{"prompt":"a","max_tokens":1}"#

    private func served(
        _ change: (inout ServerOptions) -> Void = { _ in },
        _ body: (TestServer) async throws -> Void
    ) async throws {
        let server = try await TestServer(nil, page: nil, change)
        do {
            try await body(server)
            // Whatever it was, others are served.
            let reply = try await server.post("/v1/completions", Self.good)
            #expect(reply.status == 200)
            try await eventually("nothing is held") { server.server.admission.held == 0 }
        } catch {
            try await server.stop()
            throw error
        }
        try await server.stop()
    }

    @Test func announcedBodyTooLarge() async throws {
        try await served { server in
            let reply = try await server.exchange(
                "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n")
            #expect(reply.status == 413)
            #expect(reply.headers["connection"] == "close")
        }
    }

    @Test func bodyWithoutEnd() async throws {
        try await served({ $0.bodyLimit = 10_000 }) { server in
            let status = try await offCooperativePool { [port = server.port] in
                let wire = try Wire(port: port)
                wire.send(
                    "POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                let chunk = "3E8\r\n" + String(repeating: " ", count: 1_000) + "\r\n"
                for _ in 0..<11 { wire.send(chunk) }
                let reply = try wire.read(until: "body_too_large")
                // The connection ends, whatever else is sent.
                for _ in 0..<50 {
                    Thread.sleep(forTimeInterval: 0.1)
                    if !wire.send(Array(chunk.utf8)) { return reply }
                }
                return "still open"
            }
            #expect(status.hasPrefix("HTTP/1.1 413"))
        }
    }

    @Test func slowBody() async throws {
        try await served({ $0.bodyTimeout = 1 }) { server in
            let reply = try await server.exchange(
                "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            #expect(reply.status == 408)
        }
    }

    @Test func slowHead() async throws {
        try await served({ $0.idleTimeout = 1 }) { server in
            let seconds = try await offCooperativePool { [port = server.port] in
                let wire = try Wire(port: port)
                wire.send("POST /v1/completions HTTP/1.1\r\nHost: x\r\n")
                let start = Date()
                // A byte now and then does not help.
                for _ in 0..<50 {
                    Thread.sleep(forTimeInterval: 0.1)
                    if !wire.send(Array("X".utf8)) { break }
                }
                return Date().timeIntervalSince(start)
            }
            #expect(seconds < 4)
        }
    }

    @Test func largeHead() async throws {
        try await served { server in
            for head in [
                "X-Large: \(String(repeating: "x", count: 1 << 20))\r\n",
                (0..<10_000).map { "X-\($0): y\r\n" }.joined(),
            ] {
                let bytes = try await offCooperativePool { [port = server.port] in
                    let wire = try Wire(port: port)
                    wire.send("GET /health HTTP/1.1\r\nHost: x\r\n\(head)\r\n")
                    return wire.readAll(seconds: 5)
                }
                // The answer may be lost with what it did not read.
                let text = String(decoding: bytes, as: UTF8.self)
                #expect(text.isEmpty || text.hasPrefix("HTTP/1.1 400"), "\(text.prefix(100))")
            }
        }
    }

    @Test func hostsAndPaths() async throws {
        try await served { server in
            for (line, host, status) in [
                ("GET /health", "a/?x", 200), ("GET /health?x=/v1/models", "a", 200),
                ("GET //health", "a", 404), ("GET /v1/../health", "a", 404),
                ("GET /%68ealth", "a", 404), ("GET /health/", "a", 404), ("GET /", "a/health", 404),
            ] {
                let reply = try await server.exchange(
                    "\(line) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
                #expect(reply.status == status, "\(line)")
            }
        }
    }

    @Test func lengthsThatContradict() async throws {
        try await served { server in
            for lengths in [
                "Content-Length: 5\r\nContent-Length: 6\r\n",
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Content-Length: -1\r\n",
                "Content-Length: 5x\r\n", "Content-Length: 99999999999999999999\r\n",
                "Transfer-Encoding: chunked, identity\r\n",
            ] {
                let bytes = try await offCooperativePool { [port = server.port] in
                    let wire = try Wire(port: port)
                    // If the length were not refused, there would be a second request in the body.
                    wire.send(
                        "POST /tokenize HTTP/1.1\r\nHost: x\r\n\(lengths)\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                    )
                    return wire.readAll(seconds: 5)
                }
                let text = String(decoding: bytes, as: UTF8.self)
                #expect(text.hasPrefix("HTTP/1.1 400"), "\(lengths): \(text.prefix(100))")
                #expect(!text.contains("\"list\""), "\(lengths)")
            }
        }
    }

    @Test func noHTTP() async throws {
        try await served { server in
            for text in [
                "hello\r\n\r\n", "GET\r\n\r\n", "\u{16}\u{03}\u{01}\u{02}",
                "GET /health HTTP/9.9\r\n\r\n",
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            ] {
                let bytes = try await offCooperativePool { [port = server.port] in
                    let wire = try Wire(port: port)
                    wire.send(text)
                    return wire.readAll(seconds: 5)
                }
                let answer = String(decoding: bytes, as: UTF8.self)
                #expect(
                    answer.hasPrefix("HTTP/1.1 400") || answer.hasPrefix("HTTP/1.1 5"),
                    "\(text): \(answer.prefix(80))")
            }
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        try await served { server in
            let text = try await offCooperativePool { [port = server.port] in
                let wire = try Wire(port: port)
                let body = Self.good
                let post =
                    "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                wire.send(
                    post + "GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n" + post
                        + "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return String(decoding: wire.readAll(seconds: 10), as: UTF8.self)
            }
            let marks = ["text_completion", "\"list\"", "text_completion", "\"status\""]
            var rest = text[...]
            for mark in marks {
                let place = try #require(rest.range(of: mark), "\(mark)")
                rest = rest[place.upperBound...]
            }
        }
    }

    @Test func cancelStorm() async throws {
        try await served { server in
            server.script.change { $0.stepSeconds = 0.002 }
            let statuses = try await offCooperativePool { [port = server.port] in
                let body = #"{"prompt":"a","max_tokens":60,"stream":true}"#
                for number in 0..<200 {
                    let wire = try Wire(port: port)
                    wire.send(
                        "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                    )
                    if number % 3 == 0 { _ = wire.read(seconds: 1) }
                    wire.close()
                }
                return true
            }
            #expect(statuses)
            try await eventually("all are forgotten") {
                server.script.now.running == 0 && server.server.admission.held == 0
            }
        }
    }
}
