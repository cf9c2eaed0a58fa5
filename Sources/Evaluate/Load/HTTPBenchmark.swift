// What clients see of a server over HTTP, of ours or of any other that speaks OpenAI's interface: streamed completions of
// prompts of random token ids.
import Dispatch
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Tensors

package struct HTTPBenchmark: Sendable {
    package let address: LoadAddress
    package let arrivals: Arrivals
    package var key: String?
    /// The name that the server knows the model by; `nil` asks it for the first one that it has.
    package var model: String?
    /// Prompts' ids are below it.
    package var vocabulary = 1_000
    package var seed: UInt64 = 0
    /// Seconds that a request may take.
    package var timeout = 600
    /// Requests that are sent one after the other before anything is measured.
    package var warmUp = 4

    package init(_ address: LoadAddress, _ arrivals: Arrivals) {
        (self.address, self.arrivals) = (address, arrivals)
    }

    private final class Progress: Sendable {
        let done = Atomic<Int>(0)
        let next = Atomic<Int>(0)
        let observations = Mutex<[LoadObservation]>([])

        func add(_ observation: LoadObservation) {
            observations.withLock { $0.append(observation) }
            done.add(1, ordering: .relaxed)
        }
    }

    /// Blocks until all requests have ended, however they did.
    /// - Parameter progress: called now and then with the number of requests that have ended; what it throws ends the run.
    /// - Throws: where the server does not say what models it has.
    package func run(progress: (_ done: Int) throws -> Void) throws -> [LoadObservation] {
        let (state, end) = (Progress(), DispatchSemaphore(value: 0))
        let failure = Mutex<(any Error)?>(nil)
        let task = Task.detached {
            do { try await load(state) } catch { failure.withLock { $0 = error } }
            end.signal()
        }
        while end.wait(timeout: .now() + 0.1) == .timedOut {
            do {
                try progress(state.done.load(ordering: .relaxed))
            } catch {
                task.cancel()
                throw error
            }
        }
        if let error = failure.withLock({ $0 }) { throw error }
        return state.observations.withLock { $0 }
    }

    private func load(_ state: Progress) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let name = try await modelName(group)
        let first = client(group)
        for index in 0..<warmUp {
            let length = arrivals.requests.first?.promptTokens ?? 1
            let answer = await first.exchange(
                .POST, "/v1/completions", body(.max - index, name, prompt: length, answer: 2))
            guard answer.failure == nil else {
                throw HTTPBenchmarkError.refused(
                    answer.failure ?? "", String(answer.message.prefix(300)))
            }
        }
        first.close()
        switch arrivals.pace {
        case .closed(let count): await closedLoop(count, state, name, group)
        case .poisson, .trace: await openLoop(state, name, group)
        }
    }

    private func client(_ group: any EventLoopGroup) -> LoadClient {
        LoadClient(address, key: key, timeout: timeout, group: group)
    }

    private func closedLoop(
        _ count: Int, _ state: Progress, _ name: String, _ group: any EventLoopGroup
    ) async {
        await withTaskGroup(of: Void.self) { tasks in
            for _ in 0..<count {
                tasks.addTask {
                    let client = client(group)
                    defer { client.close() }
                    while !Task.isCancelled {
                        let index = state.next.add(1, ordering: .relaxed).oldValue
                        guard index < arrivals.requests.count else { return }
                        state.add(await send(index, name, over: client))
                    }
                }
            }
        }
    }

    private func openLoop(
        _ state: Progress, _ name: String, _ group: any EventLoopGroup
    ) async {
        let start = ContinuousClock.now
        await withTaskGroup(of: Void.self) { tasks in
            for (index, request) in arrivals.requests.enumerated() {
                do {
                    try await Task.sleep(until: start + .seconds(request.time), clock: .continuous)
                } catch {
                    return
                }
                tasks.addTask {
                    let client = client(group)
                    defer { client.close() }
                    state.add(await send(index, name, over: client))
                }
            }
        }
    }

    private func send(
        _ index: Int, _ name: String, over client: LoadClient
    ) async -> LoadObservation {
        let request = arrivals.requests[index]
        return await client.exchange(
            .POST, "/v1/completions",
            body(index, name, prompt: request.promptTokens, answer: request.outputTokens))
    }

    /// - Parameter index: of the request; each has a prompt of its own.
    private func body(_ index: Int, _ name: String, prompt: Int, answer: Int) -> ByteBuffer {
        var random = RandomSource(seed: seed ^ UInt64(bitPattern: Int64(index)) &* 0x9E37_79B9)
        var buffer = ByteBuffer()
        buffer.writeString("{\"model\":\(name),\"prompt\":[")
        for place in 0..<prompt {
            if place > 0 { buffer.writeStaticString(",") }
            buffer.writeString("\(random.next() % UInt64(vocabulary))")
        }
        buffer.writeString(
            "],\"max_tokens\":\(answer),\"temperature\":0,\"ignore_eos\":true,\"stream\":true,\"stream_options\":{\"include_usage\":true}}"
        )
        return buffer
    }

    /// As a JSON string.
    private func modelName(_ group: any EventLoopGroup) async throws -> String {
        var name = model
        if name == nil {
            let client = client(group)
            defer { client.close() }
            let answer = await client.exchange(.GET, "/v1/models", ByteBuffer())
            name = try ModelNames(answer).first
        }
        return String(decoding: try JSONEncoder().encode(name), as: UTF8.self)
    }
}

/// What a server answers when it is asked for its models.
private struct ModelNames {
    let first: String

    init(_ answer: LoadObservation) throws {
        let object = try? JSONSerialization.jsonObject(with: Data(answer.message.utf8))
        guard let models = (object as? [String: Any])?["data"] as? [[String: Any]],
            let name = models.first?["id"] as? String
        else {
            throw HTTPBenchmarkError.refused(
                answer.failure ?? "", String(answer.message.prefix(300)))
        }
        first = name
    }
}

package enum HTTPBenchmarkError: Error, CustomStringConvertible {
    /// - Parameters: the status or kind of failure, and what the server said.
    case refused(String, String)

    package var description: String {
        switch self {
        case .refused(let kind, let message):
            "the server does not answer (\(kind)): \(message)"
        }
    }
}
