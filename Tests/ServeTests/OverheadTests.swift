import Foundation
import Testing

@testable import Serve

@Suite("What serving costs the engine")
struct OverheadTests {
    @Test("50 streams take less than 3% of a step of 20 ms from the engine's thread")
    func fiftyStreams() async throws {
        let server = try await TestServer(try TestServer.model(context: 4_096)) {
            ($0.concurrency, $0.queue) = (50, 0)
        }
        server.script.change { $0.stepSeconds = 0.02 }
        let body = #"{"prompt":"a","max_tokens":150,"stream":true}"#
        let request =
            "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)"
        let port = server.port
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await offCooperativePool {
                        let wire = try Wire(port: port)
                        wire.send(request)
                        return try Reply(wire.readAll(seconds: 20)).events.count
                    }
                }
            }
            // A token an event: nobody lagged behind the steps.
            for try await events in group { #expect(events > 140) }
        }
        let gaps = server.script.now.gaps.filter { $0.requests == 50 }.map(\.seconds).sorted()
        #expect(gaps.count > 100)
        let (median, last) = (gaps[gaps.count / 2], gaps[gaps.count * 99 / 100])
        print(
            "between two steps of 50 streams: median \(median * 1e6) µs, 99th percentile \(last * 1e6) µs"
        )
        #expect(median < 0.03 * 0.02)
        try await server.stop()
    }
}
