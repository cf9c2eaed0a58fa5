import Dispatch
import Foundation
import NIOCore
import NIOHTTP1
import Synchronization

/// One request on its way, and whoever waits for it.
final class LoadExchange: Sendable {
    let head: HTTPRequestHead
    let body: ByteBuffer
    private struct State {
        var waiter: CheckedContinuation<LoadObservation, Never>?
        var onEnd: (@Sendable () -> Void)?
    }

    private let state: Mutex<State>

    init(
        _ head: HTTPRequestHead, _ body: ByteBuffer,
        _ waiter: CheckedContinuation<LoadObservation, Never>
    ) {
        (self.head, self.body) = (head, body)
        state = Mutex(State(waiter: waiter))
    }

    /// Calls `body` when it has ended, at once if it has.
    func onEnd(_ body: @escaping @Sendable () -> Void) {
        let hasEnded = state.withLock { state in
            if state.waiter != nil { state.onEnd = body }
            return state.waiter == nil
        }
        if hasEnded { body() }
    }

    /// Only the first call counts.
    func finish(_ observation: LoadObservation) {
        let last = state.withLock { state in
            defer { state = State() }
            return state
        }
        last.onEnd?()
        last.waiter?.resume(returning: observation)
    }
}

/// Writes a request to its connection and notes when what came back; times are taken where bytes arrive.
final class StreamObserver: ChannelDuplexHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = LoadExchange
    typealias OutboundOut = HTTPClientRequestPart

    private var exchange: LoadExchange?
    private var observation = LoadObservation()
    private var status = 0
    private var isStream = false
    private var events = EventReader()
    private var hasEnded = false
    private var message = ""

    private static let longestMessage = 1 << 16

    static var now: UInt64 { DispatchTime.now().uptimeNanoseconds }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let exchange = unwrapOutboundIn(data)
        self.exchange = exchange
        (observation, events, status) = (LoadObservation(), EventReader(), 0)
        (hasEnded, message) = (false, "")
        observation.sent = Self.now
        context.write(wrapOutboundOut(.head(exchange.head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(exchange.body))), promise: nil)
        context.write(wrapOutboundOut(.end(nil)), promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            status = Int(head.status.code)
            let type = head.headers.first(name: "Content-Type") ?? ""
            isStream = status == 200 && type.hasPrefix("text/event-stream")
        case .body(let bytes):
            guard isStream else {
                if message.utf8.count < Self.longestMessage { message += String(buffer: bytes) }
                return
            }
            let now = Self.now
            events.append(bytes)
            while let event = events.next() { read(event, at: now) }
        case .end:
            let isWhole = status == 200 && hasEnded && message.isEmpty
            finish(isWhole ? nil : status == 200 ? "stream" : "\(status)")
        }
    }

    private func read(_ event: String, at now: UInt64) {
        if event == "[DONE]" {
            hasEnded = true
        } else if event.hasPrefix("{\"error\"") {
            message = event
        } else if event.contains("\"usage\":{") {
            // Where the choices are none there is no text, only counts; others may have both.
            let usage = Usage(event)
            observation.promptTokens = usage?.promptTokens ?? 0
            observation.outputTokens = usage?.outputTokens ?? 0
            if usage?.hasText == true { observation.pieces.append(now) }
        } else if !event.contains("\"text\":\"\"") {
            observation.pieces.append(now)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish("connection")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        message = "\(error)"
        finish("connection")
        context.close(promise: nil)
    }

    private func finish(_ failure: String?) {
        guard let exchange else { return }
        self.exchange = nil
        observation.end = Self.now
        observation.failure = failure
        observation.message = message
        exchange.finish(observation)
    }

    /// The numbers of a stream's last event.
    private struct Usage {
        let promptTokens: Int
        let outputTokens: Int
        let hasText: Bool

        init?(_ event: String) {
            guard
                let object = try? JSONSerialization.jsonObject(with: Data(event.utf8))
                    as? [String: Any], let usage = object["usage"] as? [String: Any],
                let prompt = usage["prompt_tokens"] as? Int,
                let answer = usage["completion_tokens"] as? Int
            else { return nil }
            (promptTokens, outputTokens) = (prompt, answer)
            let choices = object["choices"] as? [[String: Any]] ?? []
            hasText = choices.contains { !(($0["text"] as? String) ?? "").isEmpty }
        }
    }
}
