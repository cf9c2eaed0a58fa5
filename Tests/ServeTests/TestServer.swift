import Foundation
import Logging
import Synchronization
import Testing
import Text

@testable import Serve

/// A server over a scripted engine, at a free port of this machine.
final class TestServer: Sendable {
    let script = Script()
    let port: Int
    let server: Server
    private let task: Task<Void, any Error>
    private let thread: EngineThread

    static let tiny = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Models/tiny").path

    /// Of the shipped tokenizer, and a context of 64 tokens.
    static func model(context: Int = 64) throws -> ServedModel {
        var model = ServedModel(
            name: "tiny", tokenizer: try Tokenizer(path: tiny), contextLength: context,
            vocabularySize: 4096, cacheTokens: 1 << 20, beginToken: 0)
        model.render = { conversation in
            conversation.messages.map {
                "<\($0["role"]?.string ?? "")>\($0["content"]?.string ?? "")"
            }.joined() + (conversation.addGenerationPrompt ? "<assistant>" : "")
        }
        return model
    }

    /// - Parameters:
    ///   - engine: `nil` is the scripted one.
    ///   - change: of options that are otherwise made for tests: 8 answers at once, 8 that wait.
    init(
        _ model: ServedModel? = nil, exchange: ModelExchange? = nil, shadow: Shadow? = nil,
        engine: TestEngine? = nil, page: [UInt8]? = nil,
        _ change: (inout ServerOptions) -> Void = { _ in }
    ) async throws {
        var options = ServerOptions()
        (options.port, options.concurrency, options.queue) = (0, 8, 8)
        (options.timeout, options.bodyTimeout) = (20, 5)
        change(&options)
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let server = try Server(
            model ?? Self.model(), options, exchange: exchange, shadow: shadow, page: page,
            logger: logger,
            onRunning: { continuation.yield($0) })
        self.server = server
        let (script, concurrency) = (script, options.concurrency)
        let scripted: @Sendable () -> any TokenEngine = {
            ScriptedEngine(script, concurrency: concurrency)
        }
        thread = EngineThread(server.engine, engine?.make ?? scripted)
        task = Task {
            defer { continuation.finish() }
            try await server.run()
        }
        var iterator = ports.makeAsyncIterator()
        guard let port = await iterator.next() else {
            server.engine.stop()
            _ = try await task.value
            throw NotRunning()
        }
        self.port = port
    }

    struct NotRunning: Error {}

    /// Waits until all requests have ended.
    func stop() async throws {
        script.change { $0.isStuck = false }
        await server.drain()
        try await task.value
        server.engine.stop()
        await thread.end()
    }

    func post(_ path: String, _ body: String, headers: String = "") async throws -> Reply {
        try await exchange(
            "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\(headers)Content-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)"
        )
    }

    func get(_ path: String, headers: String = "", method: String = "GET") async throws -> Reply {
        try await exchange(
            "\(method) \(path) HTTP/1.1\r\nHost: x\r\n\(headers)Connection: close\r\n\r\n")
    }

    /// Sends bytes as they are and reads until the server closes.
    func exchange(_ text: String) async throws -> Reply {
        try await offCooperativePool { [port] in
            let wire = try Wire(port: port)
            wire.send(Array(text.utf8))
            return try Reply(wire.readAll(seconds: 20))
        }
    }
}

/// What a server of tests runs instead of the scripted engine.
struct TestEngine: Sendable {
    let make: @Sendable () -> any TokenEngine
}

/// Blocking calls have no place on the threads that tasks share.
func offCooperativePool<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result(catching: body)) }
    }
}

/// Waits until something is so, for five seconds at most.
func eventually(
    _ what: Comment, location: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    for _ in 0..<500 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record(what, sourceLocation: location)
}

private final class EngineThread: Sendable {
    private let done = Mutex<(isDone: Bool, waiter: CheckedContinuation<Void, Never>?)>(
        (false, nil))

    init(_ service: EngineService, _ engine: @escaping @Sendable () -> any TokenEngine) {
        Thread.detachNewThread { [self] in
            service.run(engine())
            let waiter = done.withLock { done in
                done.isDone = true
                return done.waiter
            }
            waiter?.resume()
        }
    }

    func end() async {
        await withCheckedContinuation { continuation in
            let isDone = done.withLock { done in
                if !done.isDone { done.waiter = continuation }
                return done.isDone
            }
            if isDone { continuation.resume() }
        }
    }
}
