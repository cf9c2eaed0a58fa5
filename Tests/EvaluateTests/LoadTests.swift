import Foundation
import NIOCore
import Testing

@testable import Evaluate

@Suite("Loads of requests")
struct LoadTests {
    @Test("requests by chance come at their rate, the same ones for the same seed")
    func poisson() {
        let arrivals = Arrivals(rate: 20, count: 4_000, promptTokens: 5, outputTokens: 7, seed: 1)
        #expect(
            arrivals
                == Arrivals(rate: 20, count: 4_000, promptTokens: 5, outputTokens: 7, seed: 1))
        #expect(
            arrivals
                != Arrivals(rate: 20, count: 4_000, promptTokens: 5, outputTokens: 7, seed: 2))
        let gaps = zip(arrivals.requests, arrivals.requests.dropFirst()).map { $1.time - $0.time }
        #expect(gaps.allSatisfy { $0 >= 0 } && arrivals.requests[0].time == 0)
        // Exponential: mean and standard deviation are both 1/20; five standard errors.
        let mean = gaps.reduce(0, +) / Double(gaps.count)
        let variance = gaps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(gaps.count)
        #expect(abs(mean * 20 - 1) < 5 / Double(gaps.count).squareRoot())
        #expect(abs(variance.squareRoot() * 20 - 1) < 0.12)
        #expect(arrivals.mostTokens == 12)
    }

    private func trace(_ text: String) throws -> String {
        let file = FileManager.default.temporaryDirectory
            .appendingPathComponent("minima-trace-\(UUID().uuidString).csv").path
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        return file
    }

    @Test("a trace's times, lengths, speed and cuts")
    func traces() throws {
        let file = try trace(
            """
            TIMESTAMP,ContextTokens,GeneratedTokens\r
            2023-11-30 23:59:59.5000000,4808,10\r
            2023-12-01 00:00:01.0,0,0\r
            2024-02-29 00:00:00,7,3\r
            2024-03-01 00:00:00.25,7,3

            """)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let whole = try Arrivals(trace: file, limit: nil, speed: 1)
        #expect(whole.pace == .trace)
        #expect(whole.requests.map(\.promptTokens) == [4808, 1, 7, 7])
        #expect(whole.requests.map(\.outputTokens) == [10, 1, 3, 3])
        #expect(whole.requests[0].time == 0 && whole.requests[1].time == 1.5)
        // The 29th of February is a day.
        #expect(whole.requests[3].time - whole.requests[2].time == 86_400.25)
        let cut = try Arrivals(
            trace: file, limit: 2, speed: 3, promptTokens: 100, outputTokens: 8)
        #expect(
            cut.requests == [
                .init(time: 0, promptTokens: 100, outputTokens: 8),
                .init(time: 0.5, promptTokens: 1, outputTokens: 1),
            ])
    }

    @Test(
        "what is no trace is said",
        arguments: [
            ("a,b\n1,2\n", ArrivalsError.columns("F")),
            ("TIMESTAMP,ContextTokens,GeneratedTokens\n", .empty("F")),
            (
                "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,1,x\n",
                .line("F", number: 2)
            ),
            (
                "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,1,1\n2023-13-16 18:17:03,1,1\n",
                .line("F", number: 3)
            ),
        ])
    func damagedTraces(_ text: String, _ expected: ArrivalsError) throws {
        let file = try trace(text)
        defer { try? FileManager.default.removeItem(atPath: file) }
        do {
            _ = try Arrivals(trace: file, limit: nil, speed: 1)
            Issue.record("\(text) was read")
        } catch {
            #expect(error.description == expected.description.replacing("F:", with: "\(file):"))
        }
    }

    @Test("events are found in whatever pieces their bytes come")
    func events() {
        let text =
            "data: one\n\ndata:two\r\n\r\n: a comment\n\nevent: x\ndata: {\"text\":\"ä\"}\n\ndata: [DONE]\n\n"
        for size in 1...20 {
            var (reader, found) = (EventReader(), [String]())
            let bytes = Array(text.utf8)
            for start in stride(from: 0, to: bytes.count, by: size) {
                reader.append(
                    ByteBuffer(bytes: bytes[start..<min(bytes.count, start + size)]))
                while let event = reader.next() { found.append(event) }
            }
            #expect(found == ["one", "two", "{\"text\":\"ä\"}", "[DONE]"], "pieces of \(size)")
        }
    }

    @Test("what is counted, and what is good enough")
    func report() {
        func observation(
            _ milliseconds: [UInt64], tokens: Int, failure: String? = nil
        ) -> LoadObservation {
            var observation = LoadObservation()
            observation.sent = 1_000_000_000
            observation.pieces = milliseconds.map { 1_000_000_000 + $0 * 1_000_000 }
            observation.end = observation.pieces.last ?? 1_500_000_000
            (observation.outputTokens, observation.failure) = (tokens, failure)
            return observation
        }
        let observations = [
            observation([100, 110, 130], tokens: 4), observation([300, 310], tokens: 2),
            observation([50, 250], tokens: 2), observation([], tokens: 0, failure: "429"),
            observation([], tokens: 0, failure: "429"),
            observation([10], tokens: 1, failure: "stream"),
        ]
        let arrivals = Arrivals(closed: 3, count: 6, promptTokens: 5, outputTokens: 4)
        let report = LoadReport(
            arrivals, observations, ServiceLevel(firstToken: 200, interToken: 20))
        #expect(report.succeeded == 3 && report.failures == ["429": 2, "stream": 1])
        #expect(report.firstToken.p50 == 100 && report.firstToken.p99 == 300)
        #expect(report.interToken.p50 == 10 && report.interToken.p99 == 200)
        #expect(report.perToken.p50 == 10 && report.perToken.p99 == 200)
        #expect(report.endToEnd.p50 == 250)
        // The second is late, the third slow, and what failed is not good.
        #expect(report.goodShare == 1.0 / 6)
        #expect(report.seconds == 0.5 && report.goodPerSecond == 2)
        #expect(report.outputTokensPerSecond == 16)
        #expect(report.values.count == LoadReport.columns.count)
        #expect(report.text(of: .failures) == "429:2 stream:1")
    }

    @Test(
        "addresses of servers",
        arguments: [
            ("http://127.0.0.1:8000", "127.0.0.1:8000", ""),
            ("http://[::1]:80/v1/", "[::1]", ""), ("https://Example.org/a/v1", "Example.org", "/a"),
        ])
    func addresses(_ url: String, _ authority: String, _ path: String) throws {
        let address = try #require(LoadAddress(url))
        #expect(address.authority == authority && address.path == path)
        for wrong in ["", "127.0.0.1:8000", "ftp://x", "http://", "http://u@h/", "http://h/?q"] {
            #expect(LoadAddress(wrong) == nil, "\(wrong)")
        }
    }
}
