import Foundation
import Synchronization
import Testing

@testable import Serve

/// Loads engines that say which model they are.
private final class ScriptedLoader: EngineLoader {
    struct State {
        var alive = 0
        var mostAlive = 0
        var loads: [ModelChoice] = []
        /// Loads that fail from now on.
        var failures = 0
        var isStuck = false
        var stepSeconds = 0.004
    }

    private final class Counted: TokenEngine {
        private let inner: ScriptedEngine
        private let loader: ScriptedLoader

        init(_ inner: ScriptedEngine, _ loader: ScriptedLoader) {
            (self.inner, self.loader) = (inner, loader)
            loader.state.withLock {
                $0.alive += 1
                $0.mostAlive = max($0.mostAlive, $0.alive)
            }
        }

        deinit { loader.state.withLock { $0.alive -= 1 } }

        var isIdle: Bool { inner.isIdle }
        var load: EngineLoad { inner.load }
        func submit(_ request: EngineRequest) throws -> Int { try inner.submit(request) }
        func cancel(_ id: Int) { inner.cancel(id) }
        func step() -> [EngineEvent] { inner.step() }
    }

    struct Failure: Error, CustomStringConvertible { let description = "the disk is on fire" }

    let hasRoomForBoth: Bool
    let state = Mutex(State())

    init(hasRoomForBoth: Bool) { self.hasRoomForBoth = hasRoomForBoth }

    func load(_ choice: ModelChoice) throws -> HandedEngine {
        while state.withLock({ $0.isStuck }) { Thread.sleep(forTimeInterval: 0.002) }
        let fails = state.withLock { state in
            defer { state.failures = max(0, state.failures - 1) }
            return state.failures > 0
        }
        if fails { throw Failure() }
        let script = Script()
        script.change {
            $0.piece = " \(choice.rawValue)"
            $0.stepSeconds = state.withLock { $0.stepSeconds }
        }
        state.withLock { $0.loads.append(choice) }
        return HandedEngine(Counted(ScriptedEngine(script), self))
    }
}

@Suite("Changes of the model", .timeLimit(.minutes(2)))
struct ModelChangeTests {
    private func served(
        hasRoomForBoth: Bool, _ body: (TestServer, ScriptedLoader) async throws -> Void
    ) async throws {
        let loader = ScriptedLoader(hasRoomForBoth: hasRoomForBoth)
        let exchange = ModelExchange()
        // The engine's alone: what else held it would keep it alive.
        let first = Mutex<HandedEngine?>(try loader.load(.compressed))
        let server = try await TestServer(
            exchange: exchange,
            engine: TestEngine {
                guard let handed = first.withLock({ $0.take() }) else {
                    preconditionFailure("the engine is made once")
                }
                return ExchangingEngine(handed, exchange, loader)
            })
        do {
            try await body(server, loader)
        } catch {
            loader.state.withLock { $0.isStuck = false }
            try await server.stop()
            throw error
        }
        try await server.stop()
    }

    private func use(_ choice: String, on server: TestServer) async throws -> Reply {
        try await server.post("/admin/model", "{\"use\":\"\(choice)\"}")
    }

    private func text(_ server: TestServer, tokens: Int) async throws -> String {
        let reply = try await server.post(
            "/v1/completions", "{\"prompt\":\"a\",\"max_tokens\":\(tokens)}")
        #expect(reply.status == 200)
        let choices = try reply.json()["choices"] as? [[String: Any]]
        return try #require(choices?.first?["text"] as? String)
    }

    private func words(_ word: String, _ count: Int) -> String {
        String(repeating: " " + word, count: count)
    }

    @Test("a server of one model says that it has no other")
    func oneModel() async throws {
        let server = try await TestServer()
        let reply = try await use("dense", on: server)
        #expect(reply.status == 404)
        #expect(try reply.error()["code"] as? String == "no_fallback")
        let health = try await server.get("/health")
        #expect(health.body == "{\"status\":\"ok\"}")
        try await server.stop()
    }

    @Test(
        "there and back: nothing is dropped, and no answer is of two models",
        arguments: [true, false])
    func thereAndBack(_ hasRoomForBoth: Bool) async throws {
        try await served(hasRoomForBoth: hasRoomForBoth) { server, loader in
            async let long = text(server, tokens: 60)
            try await eventually("it runs") { server.server.engine.load.running == 1 }
            let reply = try await use("dense", on: server)
            #expect(reply.status == 200)
            #expect(reply.body == "{\"model\":\"tiny\",\"active\":\"dense\"}")
            #expect(try await text(server, tokens: 3) == words("dense", 3))
            #expect(try await long == words("compressed", 60))
            // Asked for again, it answers at once.
            #expect(try await use("dense", on: server).status == 200)
            #expect(try await server.get("/health").json()["active"] as? String == "dense")
            let models = try await server.get("/v1/models").body
            #expect(models.contains("\"active\":\"dense\""))
            // Many at once while it goes back, each of one model.
            let texts = try await withThrowingTaskGroup(of: String.self) { group in
                for number in 0..<8 {
                    group.addTask { try await text(server, tokens: 10 + number) }
                }
                #expect(try await use("compressed", on: server).status == 200)
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for text in texts {
                let words = Set(text.split(separator: " "))
                #expect(words.count == 1, "\(text)")
            }
            #expect(try await text(server, tokens: 2) == words("compressed", 2))
            try await eventually("the dense one goes") { loader.state.withLock { $0.alive } == 1 }
            let state = loader.state.withLock { $0 }
            #expect(state.loads == [.compressed, .dense, .compressed])
            #expect(state.mostAlive == (hasRoomForBoth ? 2 : 1))
            let metrics = try await server.get("/metrics").body
            #expect(metrics.contains("choice=\"compressed\"} 1.0"))
            #expect(
                metrics.contains(
                    "minima:model_changes_total{model_name=\"tiny\",engine=\"0\",outcome=\"done\"} 2.0"
                ))
        }
    }

    @Test("a model that cannot be loaded leaves the other at work", arguments: [true, false])
    func failure(_ hasRoomForBoth: Bool) async throws {
        try await served(hasRoomForBoth: hasRoomForBoth) { server, loader in
            loader.state.withLock { $0.failures = 1 }
            async let long = text(server, tokens: 40)
            try await eventually("it runs") { server.server.engine.load.running == 1 }
            let reply = try await use("dense", on: server)
            #expect(reply.status == 500)
            let message = try reply.error()["message"] as? String
            #expect(message == "The engine failed: dense cannot be loaded: the disk is on fire")
            #expect(try await text(server, tokens: 2) == words("compressed", 2))
            #expect(try await long == words("compressed", 40))
            #expect(try await use("dense", on: server).status == 200)
            #expect(try await text(server, tokens: 2) == words("dense", 2))
        }
    }

    @Test("a change waits for nobody else, and one at a time")
    func oneAtATime() async throws {
        try await served(hasRoomForBoth: false) { server, loader in
            loader.state.withLock { $0.isStuck = true }
            async let dense = use("dense", on: server)
            try await eventually("it is under way") {
                try await server.get("/health").json()["changing_to"] as? String == "dense"
            }
            let other = try await use("compressed", on: server)
            #expect(other.status == 409 && other.headers["retry-after"] != nil)
            // One waits, one leaves meanwhile.
            async let waiting = text(server, tokens: 4)
            try await offCooperativePool { [port = server.port] in
                let wire = try Wire(port: port)
                let body = "{\"prompt\":\"a\",\"max_tokens\":50}"
                wire.send(
                    "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                )
                Thread.sleep(forTimeInterval: 0.1)
                wire.close()
            }
            try await eventually("it has left, the other waits") {
                server.server.engine.load.waiting == 1
            }
            loader.state.withLock { $0.isStuck = false }
            #expect(try await dense.status == 200)
            #expect(try await waiting == words("dense", 4))
        }
    }

    @Test(
        "what is no choice",
        arguments: [
            "{}", "{\"use\":\"other\"}", "{\"use\":1}", "{\"use\":\"dense\",\"x\":1}", "[]",
        ])
    func wrong(_ body: String) async throws {
        try await served(hasRoomForBoth: true) { server, _ in
            let refused = try await server.post("/admin/model", body)
            #expect(refused.status == 400)
            let read = try await server.get("/admin/model")
            #expect(read.status == 405)
        }
    }
}

@Suite("What runs in the shadow of answers")
struct ShadowTests {
    @Test("what does not fit is dropped, what fails is counted, what is compared adds up")
    func counts() async throws {
        let shadow = Shadow(fraction: 1, capacity: 3, longest: 10)
        for length in [1, 2, 3, 4] {
            shadow.offer(prompt: [1, 2], answer: Array(repeating: 7, count: length))
        }
        shadow.offer(prompt: Array(repeating: 1, count: 9), answer: [1, 2])
        shadow.offer(prompt: [1], answer: [])
        #expect(shadow.counts.dropped == 2)
        struct Fault: Error {}
        let thread = Thread {
            shadow.run { sample in
                if sample.answer.count == 2 { throw Fault() }
                return .init(
                    tokens: sample.answer.count, agreements: sample.answer.count - 1,
                    divergence: 0.5)
            }
        }
        thread.start()
        try await eventually("three are done") {
            shadow.counts.scored + shadow.counts.failed == 3
        }
        shadow.stop()
        var expected = Shadow.Counts()
        (expected.scored, expected.failed, expected.dropped) = (2, 1, 2)
        (expected.tokens, expected.agreements, expected.divergence) = (4, 2, 1)
        #expect(shadow.counts == expected)
        let text = Metrics(model: "m").exposition(EngineLoad(), shadow: shadow.counts)
        #expect(text.contains("minima:shadow_agreement{model_name=\"m\",engine=\"0\"} 0.5\n"))
        #expect(text.contains("minima:shadow_kl_mean{model_name=\"m\",engine=\"0\"} 0.25\n"))
    }

    @Test("a share of the answers is sampled")
    func fraction() {
        let shadow = Shadow(fraction: 0.2, capacity: 0)
        for _ in 0..<5_000 { shadow.offer(prompt: [1], answer: [2]) }
        // All sampled ones are dropped: there is no room. Five standard deviations.
        #expect(abs(shadow.counts.dropped - 1_000) < 142)
    }
}
